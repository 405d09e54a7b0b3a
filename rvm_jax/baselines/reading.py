"""Reads the arrays of published checkpoints, one at a time.

A checkpoint is a folder of Hugging Face (`config.json` beside
`model.safetensors`, or beside the parts that `model.safetensors.index.json`
names), or one file: `.safetensors`, or anything that `torch.load` reads.
"""

from collections.abc import Callable
import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np
import safetensors

from rvm_jax.baselines import torch_files
from rvm_jax.storage import damage

# Names of the dtypes in the header of a .safetensors file.
_DTYPES = {
    'F16': 'float16',
    'BF16': 'bfloat16',
    'F32': 'float32',
    'F64': 'float64',
}


class Spec(NamedTuple):
  """What is known of an array before it is read.

  Attributes:
    shape: shape of the array.
    dtype: name of the dtype that the array has once it is read.
  """

  shape: tuple[int, ...]
  dtype: str


class Arrays(NamedTuple):
  """The arrays of a checkpoint, not yet read.

  Attributes:
    name: path of the checkpoint, for error messages.
    specs: shape and dtype of each array by its key. Keys of dicts within dicts
      are joined with '/'.
    read: function that reads the array of a key. Arrays of 16 bits are widened
      to float32. Each array must be read only once.
  """

  name: str
  specs: dict[str, Spec]
  read: Callable[[str], np.ndarray]


def open_folder(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Arrays]:
  """Opens a folder in the layout of Hugging Face.

  Args:
    path: path of the folder.

  Returns:
    The contents of `config.json`, and the arrays.

  Raises:
    FileNotFoundError: a file that the folder needs does not exist.
    ValueError: a file is damaged, or parts of the arrays are missing.
  """
  folder = pathlib.Path(path)
  if not (folder / 'config.json').exists():
    raise FileNotFoundError(
        f'{folder} has no config.json: give a folder of Hugging Face, or the'
        ' path of an original file'
    )
  config = _read_json(folder / 'config.json')
  whole = folder / 'model.safetensors'
  index = folder / 'model.safetensors.index.json'
  if whole.exists():
    return config, _open_safetensors(whole)
  if index.exists():
    return config, _open_shards(index)
  raise FileNotFoundError(
      f'{folder} has neither {whole.name} nor {index.name} beside config.json'
  )


def open_file(path: str | os.PathLike[str]) -> Arrays:
  """Opens one file of arrays.

  Args:
    path: path of a file that ends in `.safetensors`, or of a file of PyTorch
      with any other ending (`.pth`, `.pth.tar`, `.pt`, `.bin`).

  Raises:
    FileNotFoundError: the file does not exist.
    ModuleNotFoundError: it is a file of PyTorch, which is not installed.
    ValueError: the file is damaged, or holds Python objects other than arrays
      and plain values. Such objects are never made.
  """
  path = pathlib.Path(path)
  if not path.exists():
    raise FileNotFoundError(f'there is no file {path}')
  if path.suffix == '.safetensors':
    return _open_safetensors(path)
  file = torch_files.TorchFile(path)
  specs = {
      key: _spec(tensor.shape, str(tensor.dtype).removeprefix('torch.'))
      for key, tensor in file.tensors.items()
  }
  return Arrays(str(path), specs, file.read)


def _read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a file that holds a JSON object."""
  try:
    content = json.loads(path.read_text())
  except ValueError as error:
    raise ValueError(f'{path} is not a JSON file: {error}') from error
  if not isinstance(content, dict):
    raise ValueError(
        f'{path} must hold a JSON object, got {type(content).__name__}'
    )
  return content


def _open_shards(index: pathlib.Path) -> Arrays:
  """Opens the files among which an index distributes the arrays."""
  content = _read_json(index)
  if not isinstance(content.get('weight_map'), dict):
    raise ValueError(f'{index} has no "weight_map", from keys to files')
  file_of = content['weight_map']
  names = sorted(set(file_of.values()))
  absent = [name for name in names if not (index.parent / name).exists()]
  if absent:
    raise ValueError(
        f'{index} names {len(names)} files, of which {len(absent)} are not'
        f' there: {damage.name_keys(absent)}'
    )
  shards = {name: _open_safetensors(index.parent / name) for name in names}
  lost = [key for key in file_of if key not in shards[file_of[key]].specs]
  if lost:
    raise ValueError(
        f'{index} names {len(lost)} arrays that its files do not hold:'
        f' {damage.name_keys(sorted(lost))}'
    )
  return Arrays(
      str(index),
      {key: shards[name].specs[key] for key, name in file_of.items()},
      lambda key: shards[file_of[key]].read(key),
  )


def _open_safetensors(path: pathlib.Path) -> Arrays:
  """Opens a `.safetensors` file."""
  with _open_mapped(path) as f:
    slices = {key: f.get_slice(key) for key in f.keys()}
    specs = {
        key: _spec(s.get_shape(), _DTYPES.get(s.get_dtype(), s.get_dtype()))
        for key, s in slices.items()
    }

  # The file is opened again for each array. The pages that were read from an
  # open file count as memory of the process, which would seem to need twice the
  # memory of the arrays.
  def read(key: str) -> np.ndarray:
    with _open_mapped(path) as f:
      return _widen(f.get_tensor(key))

  return Arrays(str(path), specs, read)


def _open_mapped(path: pathlib.Path) -> Any:
  """Maps a `.safetensors` file into memory."""
  try:
    return safetensors.safe_open(path, framework='np')
  except safetensors.SafetensorError as error:
    raise ValueError(
        f'{path} is not a .safetensors file, or not all of one: {error}'
    ) from error


def _spec(shape: Any, dtype: str) -> Spec:
  """Returns the shape and dtype that an array of a file has once it is read."""
  narrow = dtype in ('float16', 'bfloat16')
  return Spec(tuple(shape), 'float32' if narrow else dtype)


def _widen(array: np.ndarray) -> np.ndarray:
  """Converts arrays of 16 bits to float32, which is exact."""
  return array.astype(np.float32) if array.dtype.itemsize == 2 else array
