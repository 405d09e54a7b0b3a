"""Settings of the tests of benchmarks, which run in this process."""

from absl import logging
import pytest


@pytest.fixture(autouse=True)
def verbosity():
  """Undoes what a benchmark sets for the log of its process."""
  logger = logging.get_absl_logger()
  before = logger.level
  yield
  logger.setLevel(before)
