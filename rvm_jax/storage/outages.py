"""Keeps a run going while one of its files cannot be written."""

from absl import logging


class Outage:
  """Turns errors of writing a file into one warning: `with outage: write()`.

  A full disk then costs lines of a log, but does not end the run. If writing
  works again, this is logged, and the next error is logged as a warning again.
  """

  def __init__(self, path: str):
    """Creates the context; until the first error, writing counts as working.

    Args:
      path: path of the file, for the messages.
    """
    self._path = path
    self._is_on = False

  def __enter__(self):
    return self

  def __exit__(self, kind, error, trace) -> bool:
    del kind, trace
    if error is None:
      if self._is_on:
        logging.warning('%s is written again', self._path)
      self._is_on = False
      return False
    if not isinstance(error, OSError):
      return False
    if not self._is_on:
      logging.warning(
          '%s cannot be written: %s. The run goes on without it',
          self._path,
          error.strerror or error,
      )
    self._is_on = True
    return True
