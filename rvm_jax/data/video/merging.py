"""Merges the indices that several machines have built into one.

Each machine scans a part of the videos into a database of its own, since
SQLite must not write to a network disk from several machines. Then the rows of
all databases are added to one, which the other machines may copy.
"""

from collections.abc import Sequence
import os
import pathlib
import sqlite3

from rvm_jax.data.video import index


def merge(paths: Sequence[str]) -> int:
  """Adds the rows of other machines' databases to the database of this machine.

  The videos must have the same absolute paths on all machines. Rows that this
  machine has already stay as they are.

  Args:
    paths: paths of the databases, which are only read.

  Returns:
    The number of rows added.

  Raises:
    ValueError: a file does not exist, is no such database, or was written with
      another version of PyAV.
  """
  name = os.path.basename(index.database())
  columns = f'path, size, mtime, {index.CONTENTS}'
  with index.open_to_write() as connection:
    before = connection.total_changes
    for path in paths:
      if os.path.basename(path) != name or not os.path.isfile(path):
        raise ValueError(
            f'expected the path of a file {name}, the index of this version of'
            f' PyAV, got {path!r}'
        )
      if os.path.samefile(path, index.database()):
        continue
      # The URI opens the database to be read only, so that it is not created if
      # it has just disappeared.
      other = f'{pathlib.Path(path).absolute().as_uri()}?mode=ro'
      try:
        connection.execute('ATTACH ? AS other', (other,))
        connection.execute(
            f'INSERT OR IGNORE INTO main.videos ({columns})'
            f' SELECT {columns} FROM other.videos ORDER BY id'
        )
      except sqlite3.DatabaseError as error:
        raise ValueError(f'{path!r} cannot be added: {error}') from error
      connection.commit()
      connection.execute('DETACH other')
    return connection.total_changes - before
