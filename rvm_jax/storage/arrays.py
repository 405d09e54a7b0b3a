"""Stores of arrays on disk that grow frame by frame and survive interruptions.

A store is a zarr group of format 2, which every zarr library can open,
including both major versions of zarr-python. The first axis of each array is
time. Chunks are not compressed, because features hardly shrink.

  STORE/.zattrs             attributes: what the arrays hold and how they were
                            made, `complete` and, once complete, `num_frames`
  STORE/ARRAY/.zarray       shape, dtype and chunk size of one array
  STORE/ARRAY/0.0.0.0 ...   its chunks, one file each
  STORE/unfinished.npz      only while the store is incomplete: the number of
                            frames written so far and the caller's state
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
# Greatest number of bytes of a complete store that stay in memory once read.
_CACHED_BYTES = 2**30


class Store:
  """An open store; while it is incomplete, it is locked and can be appended to.

  Attributes:
    attributes: the attributes of the zarr group, as in `.zattrs`.
    num_frames: number of frames that are safely on disk.
    carried: the argument `carried` of the last `append` before the store was
      opened here; None if there was none, or if the store was complete.
  """

  def __init__(self, path: str):
    """Opens a store whose settings were checked by `open_existing`.

    Args:
      path: folder of the store.

    Raises:
      ValueError: another process is writing the store.
    """
    self._path = path
    self.attributes = _read_attributes(path)
    if not self.is_complete:
      # The lock is held until this object or its process is gone. Read the
      # attributes again: another writer may just have completed the store.
      self._lock = _lock(path)
      self.attributes = _read_attributes(path)
    self.num_frames = 0
    self.carried: np.ndarray | None = None
    progress = os.path.join(path, _PROGRESS)
    if self.is_complete:
      self.num_frames = self.attributes['num_frames']
      # The file is left if `finish` was killed between its last two steps.
      if os.path.exists(progress):
        os.remove(progress)
    elif os.path.exists(progress):
      with np.load(progress) as archive:
        self.num_frames = int(archive['num_frames'])
        self.carried = archive['carried']
    options: dict[str, Any] = {}
    # Nobody writes a complete store, so chunks may stay in memory.
    if self.is_complete:
      options['recheck_cached_data'] = 'open'
      pool = {'total_bytes_limit': _CACHED_BYTES}
      options['context'] = tensorstore.Context({'cache_pool': pool})
    self._arrays = {
        name: _open(os.path.join(path, name), **options)
        for name in self.attributes['arrays']
    }

  @property
  def chunk(self) -> int:
    """Number of frames in a chunk."""
    return self.attributes['chunk']

  @property
  def is_complete(self) -> bool:
    """Whether `finish` has been called."""
    return self.attributes['complete']

  def append(self, arrays: Mapping[str, np.ndarray], carried: np.ndarray):
    """Writes one chunk of each array, which is safely on disk afterwards.

    Args:
      arrays: the chunk of every array, [n, ...], by the array's name. n is
        `chunk`; only the last chunk of a store may have fewer frames.
      carried: array that the caller needs to continue after these frames.

    Raises:
      OSError: the chunk cannot be written. Earlier frames stay as they are.
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
    except ValueError as error:
      # TensorStore raises ValueError for a full disk too.
      raise OSError(str(error)) from error
    # The count is written after the chunks, so that it never exceeds them.
    self.num_frames = stop
    part = os.path.join(self._path, f'{_PROGRESS}.part')
    with open(part, 'wb') as file:
      np.savez(file, num_frames=stop, carried=carried)
    _replace(part)

  def read(
      self, frames: int | slice, names: Collection[str] | None = None
  ) -> dict[str, np.ndarray]:
    """Reads frames of the arrays.

    Args:
      frames: number of one frame, or a slice of frame numbers.
      names: names of the arrays to read; None for all.

    Returns:
      The frames of each array, by name: [...] for one number, [n, ...] for a
      slice.
    """
    names = self._arrays if names is None else names
    reads = {name: self._arrays[name][frames].read() for name in names}
    return {name: done.result() for name, done in reads.items()}

  def finish(self, attributes: Mapping[str, Any]):
    """Marks the store as complete.

    Args:
      attributes: further attributes to save.
    """
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
  """Opens a store, and creates an empty one first if there is none.

  Args:
    path: folder of the store.
    settings: attributes that decide the contents of the arrays. A store with
      other settings is refused.
    about: further attributes, which are saved and not compared.
    chunk: number of frames in a chunk.
    arrays: shape, without the time axis, and dtype of each array, by name.

  Raises:
    ValueError: `path` holds a store with other settings, or no store; or
      another process is writing the store.
    OSError: the store cannot be written.
  """
  shapes = {k: [list(shape), dtype] for k, (shape, dtype) in arrays.items()}
  settings = {**settings, 'chunk': chunk, 'arrays': shapes}
  if not os.path.exists(path):
    _create(path, {'complete': False, **settings, **about}, chunk, arrays)
  return open_existing(path, settings)


def open_existing(path: str, settings: Mapping[str, Any]) -> Store:
  """Opens a store that exists.

  Args:
    path: folder of the store.
    settings: attributes with which the store must have been created.

  Raises:
    ValueError: `path` holds no store, or a store with other settings; or
      another process is writing the store.
  """
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
    raise ValueError(
        f'the features are not finite numbers in {dtype}: NaN or too large'
    )
  return result


def _read_attributes(path: str) -> dict[str, Any]:
  """Reads the attributes of the store in the folder `path`."""
  with open(os.path.join(path, _ATTRIBUTES)) as file:
    return json.load(file)


def _lock(path: str) -> IO[bytes]:
  """Locks the store in the folder `path` against writing by other processes.

  Returns:
    The open file that holds the lock; closing it releases the lock.

  Raises:
    ValueError: another process holds the lock.
  """
  # NFS locks only files that are open for writing. The caller closes this one.
  lock = open(os.path.join(path, _GROUP), 'r+b')  # noqa: SIM115
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError as error:
    lock.close()
    raise ValueError(f'{path} is being written by another process') from error
  return lock


def _create(path, attributes, chunk, arrays):
  """Creates a store without frames; a kill leaves no part of one at `path`."""
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


def _open(path: str, context=None, **options) -> tensorstore.TensorStore:
  """Opens one array; `options` are further members of TensorStore's spec."""
  spec = {'driver': 'zarr', 'kvstore': {'driver': 'file', 'path': path}}
  return tensorstore.open(spec | options, context=context).result()


def _write_json(path: str, contents: Mapping[str, Any]):
  """Writes a JSON file; an earlier file is replaced whole or not at all."""
  part = f'{path}.part'
  with open(part, 'w') as file:
    json.dump(contents, file, indent=2)
    file.write('\n')
  _replace(part)


def _replace(part: str):
  """Renames NAME.part to NAME, after its contents have reached the disk."""
  with open(part, 'rb') as file:
    os.fsync(file.fileno())
  os.replace(part, part.removesuffix('.part'))
