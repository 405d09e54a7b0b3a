"""Reads checkpoints of PyTorch without executing code that they hold."""

import argparse
from collections.abc import Iterator, Mapping
import pathlib
import pickle
import re
from typing import Any
import zipfile

import numpy as np

from rvm_jax.storage import damage

# The file is opened again after this many bytes were read, see `TorchFile`.
_BYTES_PER_OPENING = 2**25


class TorchFile:
  """The arrays of a checkpoint of PyTorch.

  The file is mapped into memory if its format allows that (PyTorch since 1.6),
  so that optimizer states and other unused arrays are never read. The pages
  that were read count as memory of the process as long as any of the tensors
  exists. The file is therefore closed and opened again from time to time.

  Attributes:
    tensors: the tensors that were not read yet, by their keys. Keys of dicts
      within dicts are joined with '/'.
  """

  def __init__(self, path: pathlib.Path):
    """Opens the file.

    Args:
      path: path of the file.

    Raises:
      ModuleNotFoundError: PyTorch is not installed.
      ValueError: the file is damaged, or contains Python objects other than
        arrays and plain values.
    """
    self._path = path
    self._is_mapped = zipfile.is_zipfile(path)
    self.tensors = _load_tensors(path, self._is_mapped)
    self._bytes = 0

  def read(self, key: str) -> np.ndarray:
    """Reads an array and forgets its tensor: each key must be read only once.

    Args:
      key: key of the array in `tensors`.

    Returns:
      The array. Arrays of 16 bits are widened to float32.
    """
    if self._bytes > _BYTES_PER_OPENING:
      # The file is closed only when none of its tensors exists any more.
      self.tensors.clear()
      self.tensors = _load_tensors(self._path, self._is_mapped)
      self._bytes = 0
    tensor = self.tensors.pop(key)
    if self._is_mapped:
      self._bytes += tensor.nbytes
    narrow = tensor.dtype.itemsize == 2
    return (tensor.float() if narrow else tensor.clone()).numpy()


def _load_tensors(path: pathlib.Path, is_mapped: bool) -> dict[str, Any]:
  """Returns the tensors of a checkpoint of PyTorch by their keys."""
  try:
    import torch
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'reading {path} needs PyTorch, which is not installed: install the'
        " extra `torch`, pip install 'rvm_jax[torch]', or convert the file to"
        ' .safetensors'
    ) from error
  try:
    # Some training scripts save their flags, which are plain values, beside the
    # arrays.
    with torch.serialization.safe_globals([argparse.Namespace]):
      content = torch.load(
          path, map_location='cpu', weights_only=True, mmap=is_mapped
      )
  except pickle.UnpicklingError as error:
    # PyTorch's message advises to load the file in a way that executes its
    # code. Only the reason is taken from it.
    reason = re.search(r'(Trying to load )?[Uu]nsupported[^\n]*', str(error))
    raise ValueError(
        f'{path} is not a plain PyTorch checkpoint of arrays (code in it is'
        f' refused): {reason[0] if reason else damage.summarize(error)}'
    ) from error
  except (RuntimeError, ValueError, EOFError, OSError, KeyError) as error:
    raise ValueError(
        f'{path} is not a PyTorch checkpoint, or not all of one:'
        f' {damage.summarize(error)}'
    ) from error
  return dict(_flatten(content, torch.Tensor))


def _flatten(
    content: Any, kind: type[Any], prefix: str = ''
) -> Iterator[tuple[str, Any]]:
  """Yields the tensors in dicts within dicts; leaves out all other values."""
  if isinstance(content, kind):
    yield prefix, content.detach()
  elif isinstance(content, Mapping):
    for key, value in content.items():
      yield from _flatten(
          value, kind, f'{prefix}/{key}' if prefix else f'{key}'
      )
