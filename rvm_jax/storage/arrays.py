"""Arrays that grow along time, on disk, and survive being interrupted.

A store is a zarr group, format 2: it opens in every zarr library, and in
zarr-python of both major versions. Chunks are not compressed (features hardly
shrink): each file is an array as numpy writes it.

  STORE/.zattrs             what the arrays are, `complete`, `num_frames`
  STORE/ARRAY/.zarray       shape, dtype, chunks
  STORE/ARRAY/0.0.0.0 ...   a chunk each
  STORE/unfinished.npz      until it is complete: where to go on
"""

from collections.abc import Collection, Mapping
import fcntl
import json
import os
from typing import Any, IO

import numpy as np
import tensorstore

from rvm_jax.storage import settings as settings_lib

_ATTRIBUTES, _GROUP = '.zattrs', '.zgroup'
_PROGRESS = 'unfinished.npz'
_CACHED_BYTES = 2**30  # Of a complete store, in memory at most.


class Store:
  """An open store.

  Attributes:
    attributes: what `.zattrs` says.
    num_frames: that are on disk for good.
    carried: what was to be carried on after them, an array; None at first.
  """

  def __init__(self, path: str):
    """See `open_or_create`."""
    self._path = path
    self.attributes = _read_attributes(path)
    if not self.is_complete:
      self._lock = _lock(path)  # Held as long as the store, or its process.
      self.attributes = _read_attributes(path)  # It may be complete by now.
    self.num_frames, self.carried = 0, None
    progress = os.path.join(path, _PROGRESS)
    if self.is_complete:
      self.num_frames = self.attributes['num_frames']
      if os.path.exists(progress):  # Killed between the last two steps.
        os.remove(progress)
    elif os.path.exists(progress):
      with np.load(progress) as archive:
        self.num_frames = int(archive['num_frames'])
        self.carried = archive['carried']
    how = {}
    if self.is_complete:  # Nobody writes it any more: what is read is kept.
      how['recheck_cached_data'] = 'open'
      how['context'] = tensorstore.Context(
          {'cache_pool': {'total_bytes_limit': _CACHED_BYTES}}
      )
    self._arrays = {
        name: _open(os.path.join(path, name), **how)
        for name in self.attributes['arrays']
    }

  @property
  def chunk(self) -> int:
    """Frames in a file."""
    return self.attributes['chunk']

  @property
  def is_complete(self) -> bool:
    return self.attributes['complete']

  def append(self, arrays: Mapping[str, np.ndarray], carried: np.ndarray):
    """Writes one chunk of each array; on return it is on disk for good.

    Args:
      arrays: by name, [n, ...]; n is that of the chunks, but for the last.
      carried: what the work needs to go on from here.

    Raises:
      OSError: it cannot be written; what was there before stays.
    """
    stop = self.num_frames + len(next(iter(arrays.values())))
    try:
      resized = {
          name: array.resize(exclusive_max=[stop, *array.shape[1:]])
          for name, array in self._arrays.items()
      }
      self._arrays = {name: done.result() for name, done in resized.items()}
      writes = [
          self._arrays[name][self.num_frames : stop].write(part)
          for name, part in arrays.items()
      ]
      for write in writes:
        write.result()
    except ValueError as error:  # Also where the disk is full.
      raise OSError(str(error)) from error
    # After the chunks: what is recorded is there.
    self.num_frames = stop
    part = os.path.join(self._path, f'{_PROGRESS}.part')
    with open(part, 'wb') as file:
      np.savez(file, num_frames=stop, carried=carried)
    _replace(part)

  def read(
      self, frames: int | slice, names: Collection[str] | None = None
  ) -> dict[str, np.ndarray]:
    """A frame, or several of them, of some arrays or of all, by name."""
    names = self._arrays if names is None else names
    reads = {name: self._arrays[name][frames].read() for name in names}
    return {name: done.result() for name, done in reads.items()}

  def finish(self, attributes: Mapping[str, Any]):
    """Adds attributes and calls the store complete."""
    self.attributes |= attributes
    self.attributes |= {'num_frames': self.num_frames, 'complete': True}
    _write_json(os.path.join(self._path, _ATTRIBUTES), self.attributes)
    os.remove(os.path.join(self._path, _PROGRESS))


def open_or_create(
    path: str,
    settings: Mapping[str, Any],
    about: Mapping[str, Any],
    chunk: int,
    arrays: Mapping[str, tuple[tuple[int, ...], str]],
) -> Store:
  """Opens the store at `path`, or makes an empty one.

  Args:
    path: of the folder.
    settings: attributes that decide what is in the arrays.
    about: attributes that do not.
    chunk: frames in a file.
    arrays: by name, the shape without time and the dtype.

  Raises:
    ValueError: there is a store made with other settings, or something else;
      or another process is writing it.
    OSError: it cannot be written.
  """
  shapes = {k: [list(shape), dtype] for k, (shape, dtype) in arrays.items()}
  settings = settings | {'chunk': chunk, 'arrays': shapes}
  if not os.path.exists(path):
    _create(path, {'complete': False} | settings | about, chunk, arrays)
  return open_existing(path, settings)


def open_existing(path: str, settings: Mapping[str, Any]) -> Store:
  """Opens the store at `path`, whatever its arrays: see `open_or_create`."""
  try:
    attributes = _read_attributes(path)
  except (FileNotFoundError, NotADirectoryError):
    attributes = {}
  if not attributes.keys() >= settings.keys() | {'complete'}:
    raise ValueError(f'{path} is there already and is not a store of features')
  saved = {key: attributes[key] for key in settings}
  if differences := settings_lib.list_differences(saved, settings):
    lines = '\n  '.join(f'{key}: {x}' for key, x in differences.items())
    raise ValueError(
        f'{path} was made with other settings:\n  {lines}\nDelete it, or write'
        ' into another folder'
    )
  return Store(path)


def cast(values: np.ndarray, dtype: str) -> np.ndarray:
  """Returns floats in the dtype of a store, which must be able to hold them.

  Args:
    values: float [...].
    dtype: 'float16' or 'float32'.

  Raises:
    ValueError: a value is not finite, or too large for `dtype`.
  """
  with np.errstate(over='ignore'):
    result = values.astype(dtype)
  if not np.isfinite(result).all():
    raise ValueError(f'the features are not finite numbers in {dtype}')
  return result


def _read_attributes(path: str) -> dict[str, Any]:
  with open(os.path.join(path, _ATTRIBUTES)) as file:
    return json.load(file)


def _lock(path: str) -> IO[bytes]:
  """Two writers of one store would cut off each other's frames."""
  lock = open(os.path.join(path, _GROUP), 'r+b')  # NFS locks no other.
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    lock.close()
    raise ValueError(f'{path} is being written by another process') from error
  return lock


def _create(path, attributes, chunk, arrays):
  """Makes an empty store, which appears when it is whole."""
  part = f'{path}.part'
  os.makedirs(part, exist_ok=True)
  _write_json(os.path.join(part, _GROUP), {'zarr_format': 2})
  _write_json(os.path.join(part, _ATTRIBUTES), attributes)
  for name, (shape, dtype) in arrays.items():
    metadata = {
        'shape': [0, *shape],
        'chunks': [chunk, *shape],
        'dtype': np.dtype(dtype).str,
        'compressor': None,
        'fill_value': 'NaN' if np.dtype(dtype).kind == 'f' else None,
    }
    try:
      _open(
          os.path.join(part, name),
          metadata=metadata,
          create=True,
          delete_existing=True,
      )
    except ValueError as error:
      raise OSError(str(error)) from error
  os.rename(part, path)


def _open(path: str, context=None, **how) -> tensorstore.TensorStore:
  spec = {'driver': 'zarr', 'kvstore': {'driver': 'file', 'path': path}}
  return tensorstore.open(spec | how, context=context).result()


def _write_json(path: str, contents: Mapping[str, Any]):
  part = f'{path}.part'
  with open(part, 'w') as file:
    json.dump(contents, file, indent=2)
    file.write('\n')
  _replace(part)


def _replace(part: str):
  """Puts a file in the place of the one before, whole or not at all."""
  with open(part, 'rb') as file:
    os.fsync(file.fileno())
  os.replace(part, part.removesuffix('.part'))
