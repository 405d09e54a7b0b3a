"""Requests to the file system, many at a time.

A network disk takes a millisecond to say how big a file is, so a million files
would take a quarter of an hour one by one. It answers many requests at once. On
a local disk threads neither help nor cost.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
import os
import stat
from typing import Any

from rvm_jax.data.video import prepared

# Requests that are on their way at once.
_NUM_THREADS = 32
# Requests that a thread makes one after the other, since handing one to a
# thread costs more than a local disk takes to answer it.
_NUM_TOGETHER = 200
# What a folder of pictures counts as, in bytes. Its own size means another
# thing on each file system, and that of its pictures would have to be asked for
# one by one.
_FOLDER_SIZE = 2**20


def ask_all(ask: Callable[[str], Any], paths: Sequence[str]) -> Iterator[Any]:
  """Calls a function for each path, in several threads.

  Args:
    ask: function of a path that waits for the file system, without Python's
      lock.
    paths: the paths.

  Yields:
    What the function returns, in the order of the paths. An error that it
    raises is raised here.
  """
  parts = [
      paths[start : start + _NUM_TOGETHER]
      for start in range(0, len(paths), _NUM_TOGETHER)
  ]

  def ask_each(part):
    return [ask(path) for path in part]

  if len(parts) < 2:
    yield from (result for part in parts for result in ask_each(part))
    return
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    for results in pool.map(ask_each, parts):
      yield from results


def stamp(path: str) -> tuple[int, int]:
  """Returns size and modification time of a file or of a folder.

  Those of a video in a prepared set are those of the file that holds it.

  Args:
    path: path of the file, or of a folder of pictures.

  Returns:
    Size in bytes, the same for all folders, and time in nanoseconds.

  Raises:
    OSError: there is no such file.
  """
  if prepared.is_prepared(path):
    path = prepared.file_of(path)
  status = os.stat(path)
  is_folder = stat.S_ISDIR(status.st_mode)
  return _FOLDER_SIZE if is_folder else status.st_size, status.st_mtime_ns


def stamp_or_reason(path: str) -> tuple[int, int] | str:
  """Returns what `stamp` returns, or the reason why it raises an error."""
  try:
    return stamp(path)
  except OSError as error:
    return error.strerror
