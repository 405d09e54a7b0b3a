"""Makes many requests to the file system at the same time.

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

# Number of requests that wait for an answer at the same time.
_NUM_THREADS = 32
# Number of requests that a thread makes one after the other: to hand each of
# them to a thread would take longer than a local disk takes to answer it.
_NUM_TOGETHER = 200
# Size in bytes that stands for any folder of pictures. File systems differ in
# what they call the size of a folder, and the sizes of its pictures would have
# to be asked for one by one.
_FOLDER_SIZE = 2**20


def ask_all(ask: Callable[[str], Any], paths: Sequence[str]) -> Iterator[Any]:
  """Calls a function for each path, in several threads.

  Args:
    ask: function that takes a path. Threads make it faster only if it releases
      Python's global interpreter lock while it waits for the file system.
    paths: the paths.

  Yields:
    What the function returns for each path, in the order of the paths. An error
    of the function is raised here.
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
  """Returns size and modification time of a video, to notice that it changes.

  Args:
    path: path of a video file, of a folder of pictures, or of a video in a
      prepared set, for which the file of records that holds it is asked for.

  Returns:
    The size in bytes (_FOLDER_SIZE for every folder), and the modification time
    in nanoseconds.

  Raises:
    OSError: there is no such file, or it cannot be reached.
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
