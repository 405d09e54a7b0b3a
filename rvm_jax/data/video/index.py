"""The index: a database of what each video file holds, so each is scanned once.

`build` decodes every new file once from start to end. The results go into one
SQLite database in `$XDG_CACHE_HOME/rvm_jax` (by default `~/.cache/rvm_jax`). A
row is found by the path, size and modification time of its file, so a file that
changes is scanned again. Bad files have no row and are scanned every time,
since they may have been mended. Deleting the database is safe while nothing
runs.

A folder of pictures is one video, and has one row. Its modification time is
that of the folder, which changes when a picture is added, removed or renamed,
but not when the contents of a picture are replaced: to notice that, every start
would have to ask for the time of every picture.

Files are looked up many at a time, in the file system by several threads and in
the database by one query for all of them.

Data sources hold no more than the number of a row and a few numbers for each
file; `load` reads the rest of the row when frames of the file are read.
"""

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import os
import pathlib
import sqlite3
import threading
from typing import NamedTuple
import zlib

import av
import numpy as np
import tqdm

from rvm_jax.data.video import lookups
from rvm_jax.data.video import reader
from rvm_jax.data.video import scanning

# If there are fewer bytes to scan, one process is done before others start.
_SMALL = 8 * 2**20

# Number of files that are looked up with one query. More would take more memory
# and be no faster.
_NUM_TOGETHER = 50_000

# A row for each usable file that was scanned.
_TABLE = """
CREATE TABLE IF NOT EXISTS videos (
  id INTEGER PRIMARY KEY, path TEXT, size INTEGER, mtime INTEGER,
  num_frames INTEGER, frame_rate REAL, height INTEGER, width INTEGER,
  labels BLOB, keys BLOB, lead INTEGER, is_interlaced INTEGER, note TEXT,
  UNIQUE (path, size, mtime))
"""
# The columns that hold the fields of `reader.Contents`, in the order of the
# fields. `labels` are the timestamps and `keys` the key frames, see `_pack`.
CONTENTS = (
    'num_frames, frame_rate, height, width, labels, keys, lead, is_interlaced,'
    ' note'
)

# The open connection of each thread, and the path of its database.
_connections = threading.local()


class Summary(NamedTuple):
  """The part of a usable video's row that stays in memory.

  Attributes:
    row: number of the row.
    num_frames: number of frames that decode, at least 1.
    frame_rate: mean frames per second.
    height: height of the upright frames in pixels.
    width: width of the upright frames in pixels.
    note: what is wrong with a file that is usable in part; '' if nothing is.
  """

  row: int
  num_frames: int
  frame_rate: float
  height: int
  width: int
  note: str


def database() -> str:
  """Returns the path of the database.

  The file name contains PyAV's version, because another version may decode
  other frames.
  """
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  return os.path.join(cache, 'rvm_jax', f'videos-1-av{av.__version__}.sqlite3')


@contextlib.contextmanager
def open_to_write() -> Iterator[sqlite3.Connection]:
  """Opens the database in a `with` statement, and makes it if there is none."""
  os.makedirs(os.path.dirname(database()), exist_ok=True)
  connection = sqlite3.connect(
      pathlib.Path(database()).absolute().as_uri(), uri=True, timeout=60
  )
  with contextlib.closing(connection):
    connection.execute(_TABLE)
    yield connection


def build(
    paths: Sequence[str], num_processes: int | None = None
) -> tuple[dict[str, Summary], dict[str, str]]:
  """Scans the videos that have no row in the database yet.

  Every row is committed as soon as its file is scanned, so that a build after
  an interruption scans the remaining files alone. A file that crashes the
  decoder is bad if several processes scan; if this process scans, it crashes.

  Args:
    paths: absolute paths of files, or of folders of pictures.
    num_processes: number of processes that scan files; 1 scans in this process.
      None takes one for each core, or this process if there is little to scan.

  Returns:
    good: summaries of the usable videos, {path: Summary}.
    bad: reasons why the other videos are not usable, {path: reason}.
  """
  with open_to_write() as connection:
    good, bad, unknown = _look_up(connection, list(dict.fromkeys(paths)))
    if num_processes is None:
      is_small = sum(size for _, size, _ in unknown.values()) < _SMALL
      num_processes = 1 if is_small else os.cpu_count()
    if unknown:
      results = scanning.scan_all(list(unknown), num_processes)
      for path, result in tqdm.tqdm(
          results, 'indexing', len(unknown), unit=' videos'
      ):
        if isinstance(result, str):
          bad[path] = result
          continue
        # The row is read back for its number, and because another process may
        # have inserted it first.
        _insert(connection, unknown[path], result)
        connection.commit()
        good |= _find(connection, [unknown[path]])
  return good, bad


def load(database_path: str, row: int) -> tuple[str, reader.Contents]:
  """Returns path and contents of the video that a row describes.

  Args:
    database_path: path of the database.
    row: number of the row.

  Raises:
    reader.BrokenVideo: the video is gone or has changed since it was scanned.
  """
  path, size, mtime, *fields = (
      _connection(database_path)
      .execute(
          f'SELECT path, size, mtime, {CONTENTS} FROM videos WHERE id = ?',
          (row,),
      )
      .fetchone()
  )
  try:
    found = lookups.stamp(path)
  except OSError as error:
    raise reader.BrokenVideo(path, error.strerror) from error
  if (size, mtime) != found:
    raise reader.BrokenVideo(path, 'has changed since it was indexed')
  contents = reader.Contents(*fields)
  return path, dataclasses.replace(
      contents,
      timestamps=_unpack(contents.timestamps),
      key_frames=_unpack(contents.key_frames),
      is_interlaced=bool(contents.is_interlaced),
  )


def path_of(database_path: str, row: int) -> str:
  """Returns the path of the video that a row of a database describes."""
  return (
      _connection(database_path)
      .execute('SELECT path FROM videos WHERE id = ?', (row,))
      .fetchone()[0]
  )


def _look_up(
    connection: sqlite3.Connection, paths: list[str]
) -> tuple[dict[str, Summary], dict[str, str], dict[str, tuple[str, int, int]]]:
  """Looks up which files have a row, and which are to be scanned.

  Args:
    connection: connection to the database.
    paths: paths of the files.

  Returns:
    good: summaries of the files that have a row, by path.
    bad: reasons why files are bad, by path, for those that are empty or cannot
      be reached.
    unknown: path, size and modification time of the files to scan, by path.
  """
  good, bad, unknown = {}, {}, {}
  for start in range(0, len(paths), _NUM_TOGETHER):
    part = paths[start : start + _NUM_TOGETHER]
    stamps = []
    for path, answer in zip(
        part, lookups.ask_all(lookups.stamp_or_reason, part)
    ):
      if isinstance(answer, str):
        bad[path] = answer
      else:
        stamps.append((path, *answer))
    good |= _find(connection, stamps)
    for stamp in stamps:
      path, size, _ = stamp
      if path not in good:
        if size:
          unknown[path] = stamp
        else:
          bad[path] = 'the file is empty'
  return good, bad, unknown


def _connection(database_path: str) -> sqlite3.Connection:
  """Returns the read-only connection of this thread, and opens it if needed."""
  if getattr(_connections, 'path', None) != database_path:
    _connections.path = database_path
    _connections.connection = sqlite3.connect(
        f'{pathlib.Path(database_path).as_uri()}?mode=ro', uri=True, timeout=60
    )
  return _connections.connection


def _find(
    connection: sqlite3.Connection, stamps: Sequence[tuple[str, int, int]]
) -> dict[str, Summary]:
  """Returns the summaries of the files that have a row.

  Args:
    connection: connection to the database.
    stamps: path, size and modification time of each file.

  Returns:
    {path: summary}, in the order of `stamps`.
  """
  connection.execute(
      'CREATE TEMP TABLE IF NOT EXISTS wanted'
      ' (path TEXT, size INTEGER, mtime INTEGER)'
  )
  connection.executemany('INSERT INTO wanted VALUES (?, ?, ?)', stamps)
  # A cross join goes through `wanted` and looks each file up in the table's
  # index, however many rows the table has.
  rows = connection.execute(
      'SELECT path, id, num_frames, frame_rate, height, width, note'
      ' FROM wanted CROSS JOIN videos USING (path, size, mtime)'
      ' ORDER BY wanted.rowid'
  )
  found = {path: Summary(*fields) for path, *fields in rows}
  connection.execute('DELETE FROM wanted')
  # While a transaction is open, other processes cannot write to the database.
  connection.commit()
  return found


def _insert(
    connection: sqlite3.Connection,
    stamp: tuple[str, int, int],
    contents: reader.Contents,
):
  """Inserts a row, unless another process has inserted it meanwhile.

  A row never changes, because running jobs and other builds refer to it.

  Args:
    connection: connection to the database.
    stamp: path, size and modification time of the file.
    contents: what the file holds.
  """
  fields = dict(vars(contents))
  fields['timestamps'] = _pack(contents.timestamps)
  fields['key_frames'] = _pack(contents.key_frames)
  connection.execute(
      f'INSERT OR IGNORE INTO videos (path, size, mtime, {CONTENTS})'
      f' VALUES ({", ".join("?" * (3 + len(fields)))})',
      (*stamp, *fields.values()),
  )


def _pack(numbers: np.ndarray) -> bytes:
  """Returns an array of integers [n] as compressed bytes of its differences."""
  return zlib.compress(np.diff(numbers, prepend=0).astype('<i8').tobytes())


def _unpack(blob: bytes) -> np.ndarray:
  """Returns the array, int64 [n], that `_pack` compressed."""
  return np.cumsum(np.frombuffer(zlib.decompress(blob), '<i8'))
