"""The log shows messages of this package, and what is urgent."""

import logging

import pytest

from rvm_jax.training import logs
from rvm_jax.training import loop


@pytest.mark.parametrize(
    'path, level, is_shown',
    [
        (loop.__file__, logging.INFO, True),
        (logging.__file__, logging.INFO, False),
        (logging.__file__, logging.WARNING, True),
    ],
)
def test_filter_keeps_messages_of_other_packages_only_if_urgent(
    path, level, is_shown
):
  record = logging.LogRecord('name', level, path, 1, 'text', (), None)
  assert logs.is_ours_or_urgent(record) == is_shown
