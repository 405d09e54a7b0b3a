"""Files that a run writes if it can, and does without if it cannot."""

from absl import logging


class Outage:
  """Turns errors of writing a file into one warning: `with outage: write()`.

  A full disk then costs the lines of a log, and not the run. The warning is
  repeated only after writing has worked again in between, which is logged too.
  """

  def __init__(self, path: str):
    """Starts without an outage.

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
          '%s cannot be written: %s. The run goes on without',
          self._path,
          error.strerror or error,
      )
    self._is_on = True
    return True
