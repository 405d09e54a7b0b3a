"""The log holds what this project says, and what is urgent."""

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
def test_messages_of_other_packages_are_shown_if_urgent(path, level, is_shown):
  record = logging.LogRecord('name', level, path, 1, 'text', (), None)
  assert logs.is_ours_or_urgent(record) == is_shown
