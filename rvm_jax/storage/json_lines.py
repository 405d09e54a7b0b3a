"""Files of JSON objects, one a line, that survive kills and full disks."""

from collections.abc import Callable, Iterator
import json
import os
from typing import Any

from absl import logging

from rvm_jax.storage import files
from rvm_jax.storage import outages

Record = dict[str, Any]


class Appender:
  """Appends records to a file, each as one line that is not buffered.

  A process that is killed leaves at most one torn line behind, at the end of
  the file. The next appender removes it. While the disk is full, records are
  lost and a warning is logged, but no error is raised.
  """

  def __init__(
      self,
      path: str | os.PathLike[str],
      keep: Callable[[Record], bool] | None = None,
  ):
    """Removes a torn last line, and earlier records that should not be kept.

    Args:
      path: path of the file, which need not exist. The folder around it must
        exist.
      keep: function that says whether to keep a record that the file has. The
        first record for which it returns False is removed, with everything
        after it. None to keep all records.
    """
    self._path = os.fspath(path)
    self._outage = outages.Outage(self._path)
    with self._outage:
      if os.path.exists(self._path):
        size = _size_kept(self._path, keep)
        if size < os.path.getsize(self._path):
          os.truncate(self._path, size)

  def append(self, record: Record):
    """Appends a record.

    Args:
      record: values by name, as JSON can hold them; numbers must be finite.
    """
    line = json.dumps(record, allow_nan=False) + '\n'
    with self._outage:
      files.append_whole(self._path, line.encode())


def read(path: str | os.PathLike[str]) -> list[Record]:
  """Returns the records of a file, without a torn line at its end.

  A line that is not JSON, because the disk has damaged it, is left out with a
  warning.

  Args:
    path: path of the file.

  Raises:
    OSError: the file cannot be read.
  """
  return [record for record, _ in _records(path)]


def _records(path) -> Iterator[tuple[Record, int]]:
  """Yields each record, and the size of the file up to the record's end."""
  size = 0
  with open(path, 'rb') as f:
    for number, line in enumerate(f, 1):
      if not line.endswith(b'\n'):
        return
      size += len(line)
      try:
        record = json.loads(line)
      except ValueError:
        logging.warning('%s: line %d is not JSON, left out', path, number)
        continue
      yield record, size


def _size_kept(path, keep) -> int:
  """Returns the size of the file up to the end of the last record to keep."""
  size = 0
  for record, end in _records(path):
    if keep is not None and not keep(record):
      break
    size = end
  return size
