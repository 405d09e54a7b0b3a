"""Computes the features of a frozen encoder once and keeps them on disk.

A store is a zarr group written by `storage.arrays`. It has a row for each
example that could be read, in the order of the records:

  features  float16 or float32 [T, N, C], C channels for each of the N patches
            of each frame
  number    int32 [], the number of the record

and the ground truth of the example, by the names in `fitting.examples`.

A store saves what its features were computed from: the encoder, the names and
settings of the examples, and the sizes and modification times of their files.
Opening it is an error if any of these has changed.
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
from rvm_jax.evals.fitting import encoding
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.storage import arrays as arrays_lib
from rvm_jax.storage import fingerprints

# Largest size of a chunk of features, which is a file of the store, in bytes. A
# chunk of a single example may be larger.
_CHUNK_BYTES = 2**20


class Stored:
  """A complete store; `stored[i]` reads row i.

  Attributes:
    skipped: names of the records that could not be read, and have no row.
  """

  def __init__(
      self, store: arrays_lib.Store, names: Collection[str] | None = None
  ):
    """Wraps a store.

    Args:
      store: a complete store.
      names: names of the arrays to read; None reads all of them.
    """
    self._store = store
    self._names = names
    self.skipped = store.attributes['skipped']

  def __len__(self) -> int:
    return self._store.num_frames

  def __getitem__(self, row: int) -> dict[str, np.ndarray]:
    """Reads `number`, `features` [T, N, C] and the ground truth of a row."""
    return self._store.read(int(row), self._names)

  def choose(self, names: Collection[str]) -> 'Stored':
    """Returns the same store, limited to some arrays of ground truth.

    Args:
      names: names of the ground-truth arrays to read. `number` and `features`
        are read in any case.
    """
    return Stored(self._store, ('number', 'features', *names))

  def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields all rows in order, in batches.

    Args:
      size: number of rows in a batch. The last batch may have fewer.
    """
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
  """Encodes examples into a store, or opens the store that holds them.

  An extraction that was interrupted continues after its last complete batch. A
  complete store is opened without reading any example.

  Args:
    model: the frozen encoder.
    records: records of the examples.
    path: path of the store. Its parent folder is created.
    identity: result of `identify` for `model` and `records`.
    dtype: dtype of the features on disk, 'float16' or 'float32'.
    num_workers: number of processes that read examples; 0 reads in a thread.
    max_bad_share: largest share of the records that may be broken, in [0, 1].

  Returns:
    The complete store.

  Raises:
    ValueError: the store has another identity, or another process is writing
      it; examples differ in shape; or features are not finite in `dtype`.
    RuntimeError: too many records are broken.
    OSError: the store cannot be written.
  """
  store, done, bad = None, 0, set()
  if os.path.exists(path):
    store = arrays_lib.open_existing(path, identity | {'dtype': dtype})
    if store.is_complete:
      encoding.check_bad(
          store.attributes['skipped'], len(records), max_bad_share
      )
      return Stored(store)
    # An interrupted extraction has saved the number of the next record to read,
    # followed by the numbers of the broken records.
    if store.carried is not None:
      done, *known = store.carried.tolist()
      bad.update(known)
  os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
  for rows in encoding.encode(
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


def identify(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.ExampleRecord],
    examples: Mapping[str, Any],
) -> dict[str, Any]:
  """Returns what determines the features of examples, as values for JSON.

  Args:
    model: the frozen encoder.
    records: records of the examples. Their names enter the result, and the
      sizes and modification times of their files.
    examples: settings that determine what the examples contain.

  Returns:
    'encoder': text that identifies the encoder.
    'examples': the settings.
    'data': the number of records, and a hash over their names and files.
  """
  # Thousands of records may share a file, such as a list of videos. The status
  # of each file is read from the file system only once.
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
  """Creates an empty store.

  Args:
    path: path of the store.
    identity: result of `identify`.
    dtype: dtype of the features, 'float16' or 'float32'.
    rows: the first batch, from which names, shapes and dtypes are taken.
  """
  # Choose the number of examples in a chunk. Whole batches are appended, so it
  # must divide `encoding.BATCH`: halve it until a chunk is small enough.
  example_bytes = rows['features'][0].nbytes
  chunk = encoding.BATCH
  while chunk > 1 and chunk * example_bytes > _CHUNK_BYTES:
    chunk //= 2
  return arrays_lib.open_or_create(
      path,
      settings=identity | {'dtype': dtype},
      about={'rvm_jax': metadata.version('rvm_jax')},
      chunk=chunk,
      arrays={k: (x.shape[1:], x.dtype.name) for k, x in rows.items()},
  )
