"""Features of a frozen encoder, computed once and kept on disk.

A store is a zarr group written by `storage.arrays`. It has a row for each
example that could be read, in the order of the records:

  features  float16 or float32 [T, N, C]
  number    int32 [], the number of the record

and the example's ground truth under its own names (`fitting.examples`).

A store belongs to one encoder, one choice of examples and one state of the
files they are read from. With anything else it is refused.
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
from rvm_jax.storage import arrays as arrays_lib
from rvm_jax.storage import fingerprints

BATCH = 16  # Examples that are encoded at once.
# Bytes of features in a file of the store; one example may exceed them.
_CHUNK_BYTES = 2**20


class Stored:
  """A complete store; `stored[i]` is one of its rows.

  Attributes:
    skipped: names of the records that could not be read.
  """

  def __init__(
      self, store: arrays_lib.Store, names: Collection[str] | None = None
  ):
    """Takes a complete store, and the arrays to read; None for all of them."""
    self._store = store
    self._names = names
    self.skipped = store.attributes['skipped']

  def __len__(self) -> int:
    return self._store.num_frames

  def __getitem__(self, row: int) -> dict[str, np.ndarray]:
    """Returns `number`, `features` [T, N, C] and the ground truth of a row."""
    return self._store.read(int(row), self._names)

  def choose(self, names: Collection[str]) -> 'Stored':
    """Returns the same rows with only the ground truth of these names."""
    return Stored(self._store, ('number', 'features', *names))

  def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields all rows in order, `size` at a time; the last may be fewer."""
    for start in range(0, len(self), size):
      rows = slice(start, min(start + size, len(self)))
      yield self._store.read(rows, self._names)


def extract(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.ExampleRecord],
    path: str,
    identity: Mapping[str, Any],
    *,
    dtype: str,
    num_workers: int,
    max_bad_share: float,
) -> Stored:
  """Opens the store at `path`, after creating or completing it where needed.

  Args:
    model: the frozen encoder.
    records: records of the examples.
    path: path of the store. Its parent folder is created.
    identity: what `identify` returns for the same model and records.
    dtype: dtype of the features on disk, 'float16' or 'float32'.
    num_workers: number of processes that read examples; with 0 a thread reads.
    max_bad_share: largest share of the records that may be broken.

  Raises:
    ValueError: the store has another identity; examples differ in shape; or
      features are not finite in `dtype`.
    RuntimeError: too many records are broken.
    OSError: the store cannot be written.
  """
  store, done, bad = None, 0, set()
  if os.path.exists(path):
    store = arrays_lib.open_existing(path, identity | {'dtype': dtype})
    if store.is_complete:
      return Stored(store)
    # An interrupted extraction left the number of the next record and the
    # numbers of the broken ones.
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
    rows['features'] = arrays_lib.cast(rows['features'], dtype)
    # The shapes of the arrays are known only from the first examples.
    if store is None:
      store = _create(path, identity, dtype, rows)
    done = int(rows['number'][-1]) + 1
    store.append(rows, carried=np.array([done, *sorted(bad)]))
    logging.info('%s: %d/%d', path, done, len(records))
  if store is None:
    raise RuntimeError(f'none of the {len(records)} examples could be read')
  store.finish({'skipped': [records[number].name for number in sorted(bad)]})
  del store  # Its lock must be released before the store is opened again.
  return Stored(arrays_lib.open_existing(path, identity))


def encode(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.ExampleRecord],
    start: int,
    bad: set[int],
    *,
    num_workers: int,
    max_bad_share: float,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of at most `BATCH` encoded examples.

  Args:
    model: the frozen encoder.
    records: records of the examples.
    start: number of the first record to read.
    bad: numbers of the records known to be broken. Those that turn out to be
      broken are added.
    num_workers: number of processes that read examples; with 0 a thread reads.
    max_bad_share: largest share of the records that may be broken.

  Yields:
    `features`, float32 [n, T, N, C]; `number`, int32 [n]; and the ground truth.

  Raises:
    ValueError: examples differ in shape.
    RuntimeError: too many records are broken.
  """
  size = min(BATCH, len(records))
  first, numbers, read = None, [], []
  for number, example in examples_lib.read_all(records, start, num_workers):
    if example is None:
      bad.add(number)
      _check_bad(bad, records, max_bad_share)
    else:
      # All examples must have the names, dtypes and shapes of the first.
      example = {key: np.asarray(x) for key, x in example.items()}
      first = first or (records[number].name, _describe(example))
      if first[1] != _describe(example):
        raise ValueError(
            f'examples must be alike: {first[0]} has {first[1]},'
            f' {records[number].name} has {_describe(example)}'
        )
      numbers.append(number)
      read.append(example)
    # A batch is encoded when it is full, or at the end of the records.
    if read and (len(read) == size or number == len(records) - 1):
      batch = {key: np.stack([x[key] for x in read]) for key in read[0]}
      features = encode_frames(model, batch.pop('frames'), size)
      yield {'features': features, 'number': np.int32(numbers)} | batch
      numbers, read = [], []


def encode_frames(
    model: encoder_lib.FrozenEncoder, frames: np.ndarray, size: int
) -> np.ndarray:
  """Encodes the frames of a batch.

  Args:
    model: the frozen encoder.
    frames: uint8 [n, T, H, W, 3], with n at most `size`.
    size: number of examples that are encoded. A smaller batch is filled up
      with its last example, so that only one program has to be compiled.

  Returns:
    float32 [n, T, N, C].
  """
  fill = size - len(frames)
  filled = np.concatenate([frames, np.repeat(frames[-1:], fill, 0)])
  patches = model.encode(filled).patches[: len(frames)]  # [n, T, h, w, C]
  return patches.reshape(*patches.shape[:2], -1, patches.shape[-1])


def identify(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.ExampleRecord],
    examples: Mapping[str, Any],
) -> dict[str, Any]:
  """Returns everything that features follow from, for JSON.

  Args:
    model: the frozen encoder.
    records: records of the examples. Their names count, and the sizes and
      modification times of their files.
    examples: settings that decide what the examples contain.
  """
  # Lists name thousands of videos: their status is looked up only once.
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


def _create(path, identity, dtype, rows) -> arrays_lib.Store:
  """Creates an empty store for rows like these."""
  example_bytes = rows['features'][0].nbytes
  # Batches are appended whole, so a chunk must divide them: halve it.
  chunk = BATCH
  while chunk > 1 and chunk * example_bytes > _CHUNK_BYTES:
    chunk //= 2
  return arrays_lib.open_or_create(
      path,
      settings=identity | {'dtype': dtype},
      about={'rvm_jax': metadata.version('rvm_jax')},
      chunk=chunk,
      arrays={k: (x.shape[1:], x.dtype.name) for k, x in rows.items()},
  )


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
