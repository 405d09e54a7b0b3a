"""Which log messages a run shows."""

import logging
import os


def is_ours_or_urgent(record: logging.LogRecord) -> bool:
  """Returns whether a message comes from this package or is a warning.

  As a filter of a log handler it keeps the log readable: saving a single
  checkpoint logs 40 lines from Orbax.

  Args:
    record: the message with the path of the file that logged it.
  """
  training = os.path.dirname(os.path.abspath(__file__))
  package = os.path.dirname(training) + os.sep
  return record.pathname.startswith(package) or record.levelno > logging.INFO
