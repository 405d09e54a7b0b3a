"""Fixtures of the tests of benchmarks."""

from absl import logging
import pytest


@pytest.fixture(autouse=True)
def verbosity():
  """Restores the log level, which a benchmark changes for its process."""
  logger = logging.get_absl_logger()
  before = logger.level
  yield
  logger.setLevel(before)
