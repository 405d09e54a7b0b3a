"""Selects the log messages that a run shows."""

import logging
import os


def is_ours_or_urgent(record: logging.LogRecord) -> bool:
  """Returns whether a message comes from this package or is above INFO.

  Used as the filter of a log handler, this function keeps the log readable:
  without it, saving a single checkpoint logs 40 lines from Orbax.

  Args:
    record: log record, with the path of the source file that logged it.
  """
  training = os.path.dirname(os.path.abspath(__file__))
  package = os.path.dirname(training) + os.sep
  return record.pathname.startswith(package) or record.levelno > logging.INFO
