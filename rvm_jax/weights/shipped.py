"""Checkpoints that are part of the package, found by their names.

The checkpoint NAME is the file checkpoints/NAME.safetensors beside this module.
NAME.md describes it, and NAME.json has its scores, which a test reproduces.
"""

import os
import pathlib

from absl import logging

from rvm_jax.storage import checkpoint_files

FOLDER = pathlib.Path(__file__).parent / 'checkpoints'


def list_names() -> list[str]:
  """Returns the names of all checkpoints in the package, sorted."""
  return sorted(path.stem for path in FOLDER.glob('*.safetensors'))


def locate(path: str | os.PathLike[str]) -> str:
  """Returns the path of a checkpoint that is given by its path or its name.

  Args:
    path: path or URL of a checkpoint, which is returned as it is; or the name
      of a checkpoint in the package, such as 'rvm_tiny'. A file or folder of
      this name in the current directory takes precedence, with a warning.

  Raises:
    FileNotFoundError: `path` is no URL, nothing exists there, and it is not the
      name of a checkpoint in the package.
  """
  path = os.fspath(path)
  if checkpoint_files.is_url(path):
    return path
  names = list_names()
  if os.path.exists(path):
    if path in names:
      logging.warning(
          '%s: the file or folder in the current directory is read, not the'
          " package's checkpoint of this name",
          path,
      )
    return path
  if path in names:
    return os.fspath(FOLDER / f'{path}.safetensors')
  raise FileNotFoundError(
      f'No such file or directory: {path!r}, and the package has no checkpoint'
      f' of this name: it has {", ".join(names)}'
  )
