"""Files that are there as a whole, or not at all."""

from collections.abc import Iterator
import contextlib
import os
import tempfile


@contextlib.contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[str]:
  """Where to write a file or a folder that appears at `path` once it is whole.

  Whatever goes wrong before the end of the `with`, nothing appears there.

  Args:
    path: of the file or folder; its own folder must exist.

  Yields:
    The path to write to, with the same name, on the same disk.

  Raises:
    FileExistsError: there is something at `path`: nothing is replaced.
    OSError: it cannot be written; a full disk, say.
  """
  path = os.path.abspath(path)
  if os.path.lexists(path):
    raise FileExistsError(
        f'{path} is there already and is not replaced: remove it, or write to'
        ' another path'
    )
  folder, name = os.path.split(path)
  try:
    with tempfile.TemporaryDirectory(
        prefix=f'.{name}.', suffix='.part', dir=folder
    ) as scratch:
      part = os.path.join(scratch, name)
      yield part
      _sync(part)
      os.replace(part, path)
  except OSError as error:
    what = error.strerror or str(error)
    raise OSError(error.errno, f'cannot be written: {what}', path) from error


def _sync(part: str):
  """Waits until a file, or a folder's files, are on the disk."""
  is_folder = os.path.isdir(part)
  for name in os.listdir(part) if is_folder else [part]:
    with open(os.path.join(part, name), 'rb') as f:
      os.fsync(f.fileno())
