"""Scans many videos in several processes, which a file may crash."""

from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import process
import contextlib
import os

from rvm_jax.data import workers
from rvm_jax.data.video import reader


def scan_all(
    paths: list[str], num_processes: int
) -> Iterator[tuple[str, reader.Contents | str]]:
  """Scans videos, in several processes if asked to.

  Args:
    paths: paths of the videos.
    num_processes: number of processes; 1 scans in this process, which a file
      that crashes the decoder then ends.

  Yields:
    (path, result) for each video, in the order in which the scans finish. The
    result is what the video holds, or the reason why it is bad.
  """
  if num_processes == 1:
    yield from ((path, _scan(path)) for path in paths)
    return
  # A crash breaks the whole pool, and any of the files that were being scanned
  # may be its cause. So each of these is scanned again in a process of its own,
  # and the files that are still waiting are scanned in a new pool.
  waiting = paths[::-1]
  while waiting:
    running = {}
    with _processes(min(num_processes, len(waiting))) as pool:
      try:
        while waiting or running:
          # Keep two files for each process in the pool, so that none is idle.
          while waiting and len(running) < 2 * num_processes:
            running[pool.submit(_scan, waiting[-1])] = waiting[-1]
            waiting.pop()
          done, _ = futures.wait(running, return_when='FIRST_COMPLETED')
          for future in done:
            result = future.result()
            yield running.pop(future), result
      except process.BrokenProcessPool:
        pass
    for path in running.values():
      yield path, _scan_alone(path)


def _scan(path: str) -> reader.Contents | str:
  """Returns what a file holds, or the reason why it is bad."""
  try:
    return reader.scan(path)
  except reader.BrokenVideo as error:
    return error.reason


def _scan_alone(path: str) -> reader.Contents | str:
  """Returns what `_scan` does, from a process of its own, which may crash."""
  with _processes(1) as pool:
    try:
      return pool.submit(_scan, path).result()
    except process.BrokenProcessPool:
      return 'the decoder crashes'


@contextlib.contextmanager
def _processes(count: int):
  """Opens a pool of at most `count` processes, and waits until one has started.

  If no process can start, this raises an error. So a crash inside of the `with`
  statement is the fault of a file.
  """
  pool = workers.Pool(count)
  try:
    pool.submit(os.getpid).result()
    yield pool
  finally:
    pool.shutdown(cancel_futures=True)
