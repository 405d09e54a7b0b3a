"""What the videos of a data set truly hold: found once, cached, read lazily.

Every file is decoded once from start to end. The result goes into one SQLite
database in `$XDG_CACHE_HOME/rvm_jax` (by default `~/.cache/rvm_jax`), keyed by
path, size and time of change: a file that changes is scanned anew. Bad files
are not cached but looked at each time, since they may have been mended.
Deleting the database is safe while nothing runs.
"""

from collections.abc import Iterator, Sequence
from concurrent import futures
from concurrent.futures import process
import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import sqlite3
import threading
from typing import NamedTuple
import zlib

import av
import numpy as np
import tqdm

from rvm_jax.data.video import reader

# Bytes that are scanned in about the time that processes take to start.
_SMALL = 8 * 2**20

_TABLE = """
CREATE TABLE IF NOT EXISTS videos (
  id INTEGER PRIMARY KEY, path TEXT, size INTEGER, mtime INTEGER,
  num_frames INTEGER, frame_rate REAL, height INTEGER, width INTEGER,
  labels BLOB, keys BLOB, lead INTEGER, is_interlaced INTEGER, note TEXT,
  UNIQUE (path, size, mtime))
"""
_CONTENTS = (
    'num_frames, frame_rate, height, width, labels, keys, lead, is_interlaced,'
    ' note'
)
_connections = threading.local()


class Summary(NamedTuple):
  """One usable video: its row in the database, and what fits in memory."""

  row: int
  num_frames: int
  frame_rate: float
  height: int
  width: int
  note: str


def database() -> str:
  """Path of the database; another version of PyAV decodes into another."""
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return os.path.join(cache, 'rvm_jax', f'videos-1-av{av.__version__}.sqlite3')


def build(
    paths: Sequence[str], num_processes: int | None = None
) -> tuple[dict[str, Summary], dict[str, str]]:
  """Scans the videos that the database does not know yet.

  Rows are committed as they come, so an interrupted build goes on where it
  was. A file that crashes the decoder is bad, and crashes a worker alone.

  Args:
    paths: absolute paths of files.
    num_processes: that scan in parallel; by default one for each core, or
      none but this one where there is little to scan.

  Returns:
    Usable videos, {path: Summary}, and bad ones, {path: reason}.
  """
  good, bad, unknown = {}, {}, {}
  os.makedirs(os.path.dirname(database()), exist_ok=True)
  with contextlib.closing(
      sqlite3.connect(database(), timeout=60)
  ) as connection:
    connection.execute(_TABLE)
    for path in dict.fromkeys(paths):
      try:
        status = os.stat(path)
      except OSError as error:
        bad[path] = error.strerror
        continue
      stamp = (path, status.st_size, status.st_mtime_ns)
      if summary := _find(connection, stamp):
        good[path] = summary
      elif not status.st_size:
        bad[path] = 'the file is empty'
      else:
        unknown[path] = stamp
    if num_processes is None:
      is_small = sum(size for _, size, _ in unknown.values()) < _SMALL
      num_processes = 1 if is_small else os.cpu_count()
    if unknown:
      results = _scan_all(list(unknown), num_processes)
      for path, result in tqdm.tqdm(
          results, 'indexing', len(unknown), unit=' videos'
      ):
        if isinstance(result, str):
          bad[path] = result
          continue
        _insert(connection, unknown[path], result)
        connection.commit()
        good[path] = _find(connection, unknown[path])
  return good, bad


def load(database_path: str, row: int) -> tuple[str, reader.Contents]:
  """Returns path and contents of the video in a row of the database.

  Raises:
    video.BrokenVideo: the file is gone or has changed since it was indexed.
  """
  path, size, mtime, *fields = (
      _connection(database_path)
      .execute(
          f'SELECT path, size, mtime, {_CONTENTS} FROM videos WHERE id = ?',
          (row,),
      )
      .fetchone()
  )
  try:
    status = os.stat(path)
  except OSError as error:
    raise reader.BrokenVideo(path, error.strerror) from error
  if (size, mtime) != (status.st_size, status.st_mtime_ns):
    raise reader.BrokenVideo(path, 'has changed since it was indexed')
  contents = reader.Contents(*fields)
  return path, dataclasses.replace(
      contents,
      labels=_unpack(contents.labels),
      keys=_unpack(contents.keys),
      is_interlaced=bool(contents.is_interlaced),
  )


def path_of(database_path: str, row: int) -> str:
  """Path of the video in a row of the database."""
  return (
      _connection(database_path)
      .execute('SELECT path FROM videos WHERE id = ?', (row,))
      .fetchone()[0]
  )


def _connection(database_path: str) -> sqlite3.Connection:
  """One connection for each thread; a process starts with none."""
  if getattr(_connections, 'path', None) != database_path:
    _connections.path = database_path
    _connections.connection = sqlite3.connect(
        f'{pathlib.Path(database_path).as_uri()}?mode=ro', uri=True, timeout=60
    )
  return _connections.connection


def _find(connection: sqlite3.Connection, stamp) -> Summary | None:
  row = connection.execute(
      'SELECT id, num_frames, frame_rate, height, width, note FROM videos'
      ' WHERE path = ? AND size = ? AND mtime = ?',
      stamp,
  ).fetchone()
  return row and Summary(*row)


def _insert(connection: sqlite3.Connection, stamp, contents: reader.Contents):
  """A row never changes: running jobs and other builders refer to it."""
  fields = dict(vars(contents))
  fields['labels'] = _pack(contents.labels)
  fields['keys'] = _pack(contents.keys)
  connection.execute(
      f'INSERT OR IGNORE INTO videos (path, size, mtime, {_CONTENTS})'
      f' VALUES ({", ".join("?" * (3 + len(fields)))})',
      (*stamp, *fields.values()),
  )


def _pack(numbers: np.ndarray) -> bytes:
  return zlib.compress(np.diff(numbers, prepend=0).astype('<i8').tobytes())


def _unpack(blob: bytes) -> np.ndarray:
  return np.cumsum(np.frombuffer(zlib.decompress(blob), '<i8'))


def _scan(path: str) -> reader.Contents | str:
  try:
    return reader.scan(path)
  except reader.BrokenVideo as error:
    return error.reason


def _scan_all(
    paths: list[str], num_processes: int
) -> Iterator[tuple[str, reader.Contents | str]]:
  """Yields (path, contents or reason), in the order in which they are done."""
  if num_processes == 1:
    yield from ((path, _scan(path)) for path in paths)
    return
  waiting = paths[::-1]
  while waiting:
    running = {}
    with _processes(min(num_processes, len(waiting))) as pool:
      try:
        while waiting or running:
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


def _scan_alone(path: str) -> reader.Contents | str:
  with _processes(1) as pool:
    try:
      return pool.submit(_scan, path).result()
    except process.BrokenProcessPool:
      return 'the decoder crashes'


@contextlib.contextmanager
def _processes(count: int):
  """A pool of processes that have proved able to start."""
  pool = futures.ProcessPoolExecutor(
      count, mp_context=multiprocessing.get_context('spawn')
  )
  try:
    pool.submit(os.getpid).result()
    yield pool
  finally:
    pool.shutdown(cancel_futures=True)
