"""Features of a frozen encoder, computed once and kept on disk.

A store is a zarr group of `storage.arrays`, a row for each example that could be
read, in the order of the records:
  features  [T, N, C], float16 or float32
  number    int32 [], of the record
and the example's truths under their names.

It is of one encoder, of one choice of examples and of one state of the data:
another one is refused, never used.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
import functools
from importlib import metadata
import json
import os
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.storage import arrays
from rvm_jax.storage import fingerprints

BATCH = 16  # Examples that are encoded at once.
_CHUNK_BYTES = 2**20  # Of features in a file, unless one example has more.


class Stored:
  """The rows of a complete store: `stored[i]` is one of them.

  Attributes:
    skipped: names of the records that could not be read.
  """

  def __init__(self, store: arrays.Store, names: Collection[str] | None = None):
    """Rows of some arrays, or of all."""
    self._store = store
    self._names = names
    self.skipped = store.attributes['skipped']

  def __len__(self) -> int:
    return self._store.num_frames

  def __getitem__(self, row: int) -> dict[str, np.ndarray]:
    """`number`, `features` [T, N, C] and truths."""
    return self._store.read(int(row), self._names)

  def choose(self, truths: Collection[str]) -> 'Stored':
    """The same rows with no truths but these."""
    return Stored(self._store, ('number', 'features', *truths))

  def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
    """All rows in their order; the last batch may be smaller."""
    for start in range(0, len(self), size):
      rows = slice(start, min(start + size, len(self)))
      yield self._store.read(rows, self._names)


def extract(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.Record],
    path: str,
    identity: Mapping[str, Any],
    *,
    dtype: str,
    num_workers: int,
    max_bad_share: float,
) -> Stored:
  """The store at `path`, made or completed if need be.

  Args:
    model: the encoder.
    records: the examples.
    path: of the store; the folder that it is in need not exist.
    identity: of `identify`, for the same model and records.
    dtype: of the features, 'float16' or 'float32'.
    num_workers: processes that read examples; 0 for a thread.
    max_bad_share: of the records that cannot be read.

  Raises:
    ValueError: the store is of something else; examples that differ in shape,
      or features that are not finite numbers.
    RuntimeError: too many records cannot be read.
    OSError: the store cannot be written.
  """
  store, done, bad = None, 0, set()
  if os.path.exists(path):
    store = arrays.open_existing(path, identity | {'dtype': dtype})
    if store.is_complete:
      return Stored(store)
    if store.carried is not None:
      done, *known = store.carried.tolist()
      bad.update(known)
  os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
  for rows in encode(
      model,
      records,
      done,
      bad,
      num_workers=num_workers,
      max_bad_share=max_bad_share,
  ):
    rows['features'] = _cast(rows['features'], dtype)
    if store is None:
      store = _create(path, identity, dtype, rows)
    done = int(rows['number'][-1]) + 1
    store.append(rows, carried=np.array([done, *sorted(bad)]))
    logging.info('%s: %d/%d', path, done, len(records))
  if store is None:
    raise RuntimeError(f'none of the {len(records)} examples could be read')
  store.finish({'skipped': [records[number].name for number in sorted(bad)]})
  del store  # With its lock.
  return Stored(arrays.open_existing(path, identity))


def encode(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.Record],
    start: int,
    bad: set[int],
    *,
    num_workers: int,
    max_bad_share: float,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields `features`, float32 [n, T, N, C], `number` and truths, n <= BATCH.

  Args:
    model, records, num_workers, max_bad_share: as for `extract`.
    start: number of the first record.
    bad: numbers of records that could not be read; those found are added.

  Raises:
    As `extract`.
  """
  size = min(BATCH, len(records))
  first, numbers, read = None, [], []
  for number, example in examples_lib.read_all(records, start, num_workers):
    if example is None:
      bad.add(number)
      _check_bad(bad, records, max_bad_share)
    else:
      example = {key: np.asarray(x) for key, x in example.items()}
      first = first or (records[number].name, _describe(example))
      if first[1] != _describe(example):
        raise ValueError(
            f'examples must be alike: {first[0]} has {first[1]},'
            f' {records[number].name} has {_describe(example)}'
        )
      numbers.append(number)
      read.append(example)
    if read and (len(read) == size or number == len(records) - 1):
      batch = {key: np.stack([x[key] for x in read]) for key in read[0]}
      features = encode_frames(model, batch.pop('frames'), size)
      yield {'features': features, 'number': np.int32(numbers)} | batch
      numbers, read = [], []


def encode_frames(
    model: encoder_lib.FrozenEncoder, frames: np.ndarray, size: int
) -> np.ndarray:
  """Features float32 [n, T, N, C] of frames uint8 [n, T, H, W, 3].

  Args:
    model: the encoder.
    frames: of n <= `size` examples.
    size: as many are encoded, so that there is one program to compile.
  """
  fill = size - len(frames)
  filled = np.concatenate([frames, np.repeat(frames[-1:], fill, 0)])
  found = model.encode(filled).patches[: len(frames)]
  return found.reshape(*found.shape[:2], -1, found.shape[-1])


def identify(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.Record],
    examples: Mapping[str, Any],
) -> dict[str, Any]:
  """What features follow from, good for JSON.

  Args:
    model: the encoder.
    records: by their names, and the sizes and times of their files.
    examples: settings that decide what is in the examples.
  """
  status = functools.cache(os.stat)

  def parts():
    for record in records:
      yield record.name.encode()
      for path in record.files:
        found = status(path)
        yield f' {found.st_size} {found.st_mtime_ns}'.encode()
      yield b'\n'

  return {
      'encoder': f'{model.identity}, patch {model.patch}, {model.scaling}',
      'examples': json.loads(json.dumps(dict(examples))),
      'data': f'{len(records)} examples, {fingerprints.hash_parts(parts())}',
  }


def _create(path, identity, dtype, rows) -> arrays.Store:
  of_one = rows['features'][0].nbytes
  chunk = BATCH
  while chunk > 1 and chunk * of_one > _CHUNK_BYTES:
    chunk //= 2
  return arrays.open_or_create(
      path,
      settings=identity | {'dtype': dtype},
      about={'rvm_jax': metadata.version('rvm_jax')},
      chunk=chunk,
      arrays={k: (x.shape[1:], x.dtype.name) for k, x in rows.items()},
  )


def _cast(features, dtype):
  with np.errstate(over='ignore'):
    result = features.astype(dtype)
  if not np.isfinite(result).all():
    raise ValueError(f'the features are not finite numbers in {dtype}')
  return result


def _check_bad(bad, records, max_bad_share):
  if len(bad) > max_bad_share * len(records):
    names = ', '.join(records[number].name for number in sorted(bad)[:5])
    raise RuntimeError(
        f'{len(bad)} of {len(records)} examples could not be read, more than'
        f' features.max_bad_share={max_bad_share}: {names}'
        f'{", ..." * (len(bad) > 5)}; the log says why'
    )


def _describe(example):
  return {k: f'{x.dtype}{list(x.shape)}' for k, x in sorted(example.items())}
