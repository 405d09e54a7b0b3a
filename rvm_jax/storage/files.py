"""Writing files and folders completely or not at all."""

from collections.abc import Iterator
import contextlib
import errno
import glob
import os
import tempfile

from absl import logging

# Errors of file systems that have no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[str]:
  """Yields a temporary path; what is written there moves to `path` at the end.

  If anything goes wrong before the end of the `with` block, nothing appears at
  `path`. Only a process that is killed leaves something behind: a folder
  `.NAME.*.part` beside `path`, with what it had written. The next process that
  writes to `path` warns about it.

  Args:
    path: path of the file or folder to write. The folder around it must exist.
      A folder may hold files only.

  Yields:
    The path to write to. It has the same name and is on the same disk.

  Raises:
    FileExistsError: something is at `path` at the beginning, or has appeared
      there by the end. Nothing is replaced, except an empty folder that
      appeared in the meantime.
    OSError: the file cannot be written, for instance because the disk is full.
  """
  path = os.path.abspath(path)
  _check_absent(path)
  folder, name = os.path.split(path)
  _warn_of_leftovers(folder, name)
  try:
    with tempfile.TemporaryDirectory(
        prefix=f'.{name}.', suffix='.part', dir=folder
    ) as scratch:
      part = os.path.join(scratch, name)
      yield part
      _sync(part)
      _place(part, path)
  except FileExistsError:
    raise
  except OSError as error:
    what = os.strerror(error.errno) if error.errno else str(error)
    if not os.path.isdir(folder):
      what += f' (there is no folder {folder})'
    raise OSError(error.errno, f'cannot be written: {what}', path) from error


def replace_text(path: str | os.PathLike[str], text: str):
  """Writes a text file; an earlier file is replaced whole or not at all.

  Only one process at a time may write to a path, because the text is first
  written to `PATH.part`.

  Args:
    path: path of the file. The folder around it must exist.
    text: contents, written as UTF-8.

  Raises:
    OSError: the file cannot be written. An earlier one stays as it is.
  """
  part = f'{os.fspath(path)}.part'
  try:
    with open(part, 'w', encoding='utf-8') as f:
      f.write(text)
    os.replace(part, path)
  except OSError:
    with contextlib.suppress(OSError):
      os.remove(part)
    raise


def replace_whole(part: str, path: str):
  """Renames a complete file to its final path, once it has reached the disk.

  So even if the machine stops at any time, there is never a part of the file at
  `path`.

  Args:
    part: path of the complete file.
    path: final path, on the same disk. A file that exists there is replaced.
  """
  _sync(part)
  os.replace(part, path)


def append_whole(path: str | os.PathLike[str], data: bytes):
  """Appends all of `data` to a file; if writing fails, nothing is appended.

  The file is opened anew each time, so that it may be moved or deleted
  meanwhile. What has been appended survives the end of the process, however it
  ends; a process that is killed while it appends may leave a part of `data`.

  Args:
    path: path of the file, which is made if it does not exist.
    data: bytes to append.

  Raises:
    OSError: the file cannot be written, for instance because the disk is full.
  """
  with open(path, 'ab', buffering=0) as f:
    size = f.seek(0, os.SEEK_END)
    try:
      while data:
        data = data[f.write(data) :]
    except OSError:
      f.truncate(size)
      if not size:
        os.remove(path)
      raise


def _check_absent(path: str):
  """Raises FileExistsError if something is at `path`, even a broken link."""
  if os.path.lexists(path):
    raise FileExistsError(
        f'{path} is there already and is not replaced: remove it, or write to'
        ' another path'
    )


def _warn_of_leftovers(folder: str, name: str):
  """Warns of what killed processes left behind.

  It is not deleted, because another process may be writing it right now.
  """
  pattern = os.path.join(glob.escape(folder), f'.{glob.escape(name)}.*.part')
  for path in glob.glob(pattern):
    logging.warning(
        '%s was left by a process that was killed, unless a process is writing'
        ' it now. In the first case you can delete it',
        path,
    )


def _place(part: str, path: str):
  """Moves a file or a folder to `path`, where nothing may be."""
  try:
    if os.path.isdir(part):
      # Fails unless `path` is free or an empty folder.
      os.rename(part, path)
    else:
      _link(part, path)
  except OSError:
    _check_absent(path)
    raise


def _link(part: str, path: str):
  """Links a file to `path`; where there are no hard links, moves it there.

  A hard link fails if `path` exists, whereas a rename would replace it. The old
  name disappears with the temporary folder that holds it.
  """
  try:
    os.link(part, path)
  except OSError as error:
    if error.errno not in _NO_LINKS:
      raise
    # Opening fails if `path` exists. Then the name belongs to this process, and
    # its empty file may be replaced.
    with open(path, 'x'):
      os.replace(part, path)


def _sync(part: str):
  """Waits until a file, or every file in a folder, has reached the disk.

  Args:
    part: path of the file, or of a folder without subfolders.
  """
  is_folder = os.path.isdir(part)
  for name in os.listdir(part) if is_folder else [part]:
    with open(os.path.join(part, name), 'rb') as f:
      os.fsync(f.fileno())
