"""Endless streams of batches of features and ground truth, to fit a head to.

The order of the examples depends only on the seed and the number of examples.
A position in a stream can be saved, and an iterator can continue from it. The
streams of pretraining (`data.pipeline`) have the same methods.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import grain
from grain import experimental as grain_experimental
import numpy as np

from rvm_jax.data import batches as batches_lib
from rvm_jax.data import blocks
from rvm_jax.data import skipping
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import encoding
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import feature_store as feature_store_lib

Batch = dict[str, np.ndarray]
# Number of batches that are read before they are asked for.
_PREFETCH = 2


class Stream:
  """An endless stream of batches, a `training.position.TrainingData`.

  `of_stored` and `of_records` build one. In a stream of records, a record that
  cannot be read is replaced by another one, sampled at random. A batch holds
    features: float [B, T, N, C], the features of each example;
    clip: int64 [B, 1], the number of the record that each example was read
      from;
    skipped: int32 [B], how many broken records were tried before this one;
  and the ground truth of the examples by its names.

  Attributes:
    bad: numbers of the records that had to be replaced in the batches read so
      far. If an iterator is set to a saved position, those found before that
      position are added.
  """

  def __init__(
      self,
      dataset: grain.MapDataset,
      records: Sequence[examples_lib.ExampleRecord],
      finish: Callable[[Batch], Batch],
      *,
      batch_size: int,
      num_workers: int,
  ):
    """Creates a stream.

    Args:
      dataset: endless sequence of examples in their order. Each has `clip` and
        `skipped` as in a batch, without the axis B, and `asked`, int64 [1], the
        number of the record that the order asked for. It differs from `clip` if
        this record was broken.
      records: records of the examples.
      finish: function batch -> batch that adds `features`, if the examples in
        `dataset` do not have them. The batches have no `asked`.
      batch_size: B, number of examples in a batch.
      num_workers: number of processes that read examples; 0 reads in a thread.
    """
    self.bad = set()
    self._dataset = dataset
    self._records = records
    self._finish = finish
    self._batch_size = batch_size
    self._num_workers = num_workers

  def iterator(self) -> 'FinishedBatches':
    """Returns a new iterator at the beginning of the stream."""
    # A single shard: every process reads whole batches.
    samples = blocks.Blocks(self._dataset, self._batch_size, 1)
    elastic = grain_experimental.ElasticIterator(
        samples,
        self._batch_size,
        grain.sharding.ShardOptions(0, 1),
        read_options=grain.ReadOptions(
            num_threads=1, prefetch_buffer_size=_PREFETCH
        ),
        multiprocessing_options=grain.MultiprocessingOptions(
            num_workers=self._num_workers
        ),
    )
    return FinishedBatches(
        elastic,
        samples,
        [len(self._records)],
        self._num_workers,
        self._finish_batch,
        self.bad,
    )

  def first(self, count: int) -> Batch:
    """Returns the first `count` examples of the stream as a batch."""
    rows = [self._dataset[number] for number in range(count)]
    return self._finish_batch(
        {k: np.stack([x[k] for x in rows]) for k in rows[0]}
    )

  def describe(self, clip: np.ndarray) -> str:
    """Returns the name of a record.

    Args:
      clip: int64 [1], the number of the record.
    """
    return self._records[int(clip[0])].name

  def _finish_batch(self, batch: Batch) -> Batch:
    """Notes which records were broken, and adds the features."""
    asked = batch.pop('asked')
    self.bad.update(asked[batch['skipped'] > 0, 0].tolist())
    return self._finish(batch)


class FinishedBatches(batches_lib.Batches):
  """An iterator that applies a function to each batch of another iterator.

  A saved position includes the numbers of the broken records found so far, so
  that a run that continues from it can report them.
  """

  def __init__(
      self,
      iterator: Any,
      samples: blocks.Blocks,
      lengths: list[int],
      num_workers: int,
      finish: Callable[[Batch], Batch],
      bad: set[int],
  ):
    """Creates an iterator.

    Args:
      iterator: grain iterator over batches.
      samples: the examples that it takes.
      lengths: number of records of each source. A stream has one source.
      num_workers: number of worker processes that the iterator starts.
      finish: function batch -> batch that is applied to each batch.
      bad: numbers of the records known to be broken. `finish` may add to this
        set. `get_state` saves its current contents; `set_state` adds the
        numbers in the saved position.
    """
    super().__init__(iterator, samples, lengths, num_workers)
    self._finish = finish
    self._bad = bad

  def __next__(self) -> Batch:
    return self._finish(super().__next__())

  def get_state(self) -> dict[str, Any]:
    """Returns the position and the broken records, as values for JSON."""
    return super().get_state() | {'bad': sorted(self._bad)}

  def set_state(self, state: dict[str, Any]):
    """Continues from a position that `get_state` returned."""
    # Older versions of this package saved positions without broken records.
    self._bad.update(state.get('bad', ()))
    super().set_state(state)


def of_stored(
    stored: feature_store_lib.Stored,
    records: Sequence[examples_lib.ExampleRecord],
    *,
    batch_size: int,
    seed: int,
) -> Stream:
  """Returns a stream of features that are on disk.

  Args:
    stored: the store.
    records: all records that the store was made from, including broken ones.
    batch_size: B, number of examples in a batch.
    seed: seed of the order.
  """
  order_seed, _ = _split_seed(seed)
  rows = grain.MapDataset.source(stored).shuffle(seed=order_seed).repeat()
  return Stream(
      rows.map(_add_numbers),
      records,
      lambda batch: batch,
      batch_size=batch_size,
      num_workers=0,
  )


def of_records(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.ExampleRecord],
    *,
    batch_size: int,
    seed: int,
    is_augmented: bool,
    num_workers: int,
) -> Stream:
  """Returns a stream of features that are computed for each batch anew.

  Args:
    model: the frozen encoder.
    records: records of the examples.
    batch_size: B, number of examples in a batch.
    seed: seed of the order, of the augmentation, and of the choice of examples
      that replace broken ones.
    is_augmented: whether examples are augmented, differently in each epoch.
    num_workers: number of processes that read examples; 0 reads in a thread.
  """
  order_seed, read_seed = _split_seed(seed)
  numbers = grain.MapDataset.range(len(records)).shuffle(seed=order_seed)
  read = functools.partial(examples_lib.read_for_batch, records, is_augmented)
  read_or_replace = skipping.SkipBroken(read, len(records), 'example')

  def finish(batch):
    frames = batch.pop('frames')
    features = encoding.encode_frames(model, frames, len(frames))
    return batch | {'features': features}

  return Stream(
      numbers.repeat().random_map(
          functools.partial(_read_asked, read_or_replace), seed=read_seed
      ),
      records,
      finish,
      batch_size=batch_size,
      num_workers=num_workers,
  )


def _split_seed(seed: int) -> list[int]:
  """Returns two independent seeds, for the order and for reading examples."""
  return np.random.SeedSequence(seed).generate_state(2).tolist()


def _read_asked(
    read: skipping.SkipBroken, number: int, rng: np.random.Generator
) -> dict[str, Any]:
  """Reads example `number` or a replacement, and adds `number` as `asked`."""
  return read(number, rng) | {'asked': np.array([number])}


def _add_numbers(row: dict[str, Any]) -> dict[str, Any]:
  """Adds `clip`, `asked` and `skipped` to a stored row, which is not broken."""
  number = row['number'][None]
  return row | {'clip': number, 'asked': number, 'skipped': np.int32(0)}
