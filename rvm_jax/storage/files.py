"""Files that are there as a whole, or not at all."""

from collections.abc import Iterator
import contextlib
import errno
import glob
import os
import tempfile

from absl import logging

# What disks say that have no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[str]:
  """Where to write a file or a folder that appears at `path` once it is whole.

  Whatever goes wrong before the end of the `with`, nothing appears there. Only
  a killed process leaves what it had written, in a folder `.NAME.*.part` beside
  it: the next to write there warns of it.

  Args:
    path: of the file or folder; its own folder must exist.

  Yields:
    The path to write to, with the same name, on the same disk.

  Raises:
    FileExistsError: there is something at `path`, or is by the end: nothing is
      replaced, but an empty folder that came meanwhile.
    OSError: it cannot be written; a full disk, say.
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
    raise OSError(error.errno, f'cannot be written: {what}', path) from error


def _check_absent(path: str):
  if os.path.lexists(path):
    raise FileExistsError(
        f'{path} is there already and is not replaced: remove it, or write to'
        ' another path'
    )


def _warn_of_leftovers(folder: str, name: str):
  """Others may be writing them: what is left is for people to delete."""
  pattern = os.path.join(glob.escape(folder), f'.{glob.escape(name)}.*.part')
  for path in glob.glob(pattern):
    logging.warning(
        '%s is what a killed process left, if none is writing it now: it can'
        ' then be deleted',
        path,
    )


def _place(part: str, path: str):
  """Moves a file or a folder to where nothing is."""
  try:
    if os.path.isdir(part):
      os.rename(part, path)  # Replaces nothing but an empty folder.
    else:
      _link(part, path)
  except OSError:
    _check_absent(path)
    raise


def _link(part: str, path: str):
  """Another name for a file; the one it had goes with its folder."""
  try:
    os.link(part, path)
  except OSError as error:
    if error.errno not in _NO_LINKS:
      raise
    with open(path, 'x'):  # The name is ours from here on.
      os.replace(part, path)


def _sync(part: str):
  """Waits until a file, or a folder's files, are on the disk."""
  is_folder = os.path.isdir(part)
  for name in os.listdir(part) if is_folder else [part]:
    with open(os.path.join(part, name), 'rb') as f:
      os.fsync(f.fileno())
