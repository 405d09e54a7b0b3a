"""Scanning of many video files, in processes that a file may crash."""

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
  """Scans files, in several processes if asked to.

  Args:
    paths: paths of the files.
    num_processes: number of processes; 1 scans in this process.

  Yields:
    (path, what the file holds or why it is bad) for each file, in the order in
    which the scans finish.
  """
  if num_processes == 1:
    yield from ((path, _scan(path)) for path in paths)
    return
  # A crash breaks the whole pool, and any of the files in it may be its cause.
  # So each of them is scanned again, in a process of its own, and the others go
  # on in a new pool.
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
  """Scans a file in a process of its own, which it may crash."""
  with _processes(1) as pool:
    try:
      return pool.submit(_scan, path).result()
    except process.BrokenProcessPool:
      return 'the decoder crashes'


@contextlib.contextmanager
def _processes(count: int):
  """Opens a pool of processes, of which one has proved able to start.

  If none can start, this raises; a crash later on is the fault of a file.
  """
  pool = workers.Pool(count)
  try:
    pool.submit(os.getpid).result()
    yield pool
  finally:
    pool.shutdown(cancel_futures=True)
