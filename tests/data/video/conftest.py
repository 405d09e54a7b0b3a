"""Fixtures for the tests of reading videos."""

import pytest

from rvm_jax.data.video import decoder


@pytest.fixture
def no_fallback(monkeypatch):
  """A function to call; after that, decoding from the start raises an error."""

  def fail(stream):
    raise AssertionError('decoded from the start')

  return lambda: monkeypatch.setattr(decoder, 'from_start', fail)
