"""Endless batches of features and ground truth, to fit a head to.

The order of the examples follows from the seed and the number of examples
alone, and a position in it is one integer, as in the trainer's own pipeline.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import grain
from grain import experimental as grain_experimental
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.data import skipping
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import feature_store as feature_store_lib

Batch = dict[str, np.ndarray]
_PREFETCH = 2  # Batches read before they are asked for.


class Stream:
  """A `training.loop.TrainingData`, built by `of_stored` or `of_records`.

  A batch holds `features` [B, T, N, C] and the ground truth of its examples;
  `clip`, int64 [B, 1], the number of each record; and `skipped`, int32 [B], the
  number of broken records that each example replaces.

  Attributes:
    bad: numbers of the records that were broken when it was their turn, so far.
      An iterator that is set to a position adds those found before it.
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
      dataset: endless examples, in order. Each has `clip` and `skipped`, as
        they are in a batch, and `asked`, int64 [1], the number of the record
        whose turn it was.
      records: records of the examples.
      finish: function that turns a batch of these examples into one with
        `features`.
      batch_size: B, examples in a batch.
      num_workers: number of processes that read examples; with 0 a thread
        reads.
    """
    self.bad = set()
    self._dataset = dataset
    self._records = records
    self._finish = finish
    self._batch_size = batch_size
    self._num_workers = num_workers

  def iterator(self) -> 'FinishedBatches':
    """Returns a new iterator at the beginning of the stream."""
    elastic = grain_experimental.ElasticIterator(
        self._dataset,
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
        elastic, [len(self._records)], self._finish_batch, self.bad
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
    # An example that replaces others took the turn of a broken record.
    asked = batch.pop('asked')
    self.bad.update(asked[batch['skipped'] > 0, 0].tolist())
    return self._finish(batch)


class FinishedBatches(pipeline.Batches):
  """An iterator over batches of the pipeline that finishes each of them.

  The numbers of broken records are part of its position, so that a run that
  continues from there still knows them.
  """

  def __init__(
      self,
      iterator: Any,
      lengths: list[int],
      finish: Callable[[Batch], Batch],
      bad: set[int],
  ):
    """Creates an iterator.

    Args:
      iterator: iterator over unfinished batches.
      lengths: number of records of each source, here of one.
      finish: function that finishes a batch.
      bad: numbers of the records that are known to be broken; those of a
        position are added.
    """
    super().__init__(iterator, lengths)
    self._finish = finish
    self._bad = bad

  def __next__(self) -> Batch:
    return self._finish(super().__next__())

  def get_state(self) -> dict[str, Any]:
    """Returns the position, for JSON, with the broken records found so far."""
    return super().get_state() | {'bad': sorted(self._bad)}

  def set_state(self, state: dict[str, Any]):
    """Goes to a position that `get_state` returned."""
    # Positions that were saved by older versions have no broken records.
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
    records: records of the examples, the broken ones included.
    batch_size: B, examples in a batch.
    seed: seed of the order.
  """
  order_seed, _ = _split_seed(seed)
  rows = grain.MapDataset.source(stored).shuffle(seed=order_seed).repeat()
  return Stream(
      rows.map(_count_row),
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
  """Returns a stream of features that are computed batch by batch.

  Args:
    model: the frozen encoder.
    records: records of the examples.
    batch_size: B, examples in a batch.
    seed: seed of the order, of the augmentation, and of the examples that
      replace broken ones.
    is_augmented: whether an example is augmented anew each time it is read.
    num_workers: number of processes that read examples; with 0 a thread reads.
  """
  order_seed, read_seed = _split_seed(seed)
  numbers = grain.MapDataset.range(len(records)).shuffle(seed=order_seed)
  read = functools.partial(examples_lib.read_for_batch, records, is_augmented)
  read_or_replace = skipping.SkipBroken(read, len(records), 'example')

  def finish(batch):
    frames = batch.pop('frames')
    features = feature_store_lib.encode_frames(model, frames, len(frames))
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
  """Returns two independent seeds."""
  return np.random.SeedSequence(seed).generate_state(2).tolist()


def _read_asked(
    read: skipping.SkipBroken, number: int, rng: np.random.Generator
) -> dict[str, Any]:
  """Reads an example and notes whose turn it was."""
  return read(number, rng) | {'asked': np.array([number])}


def _count_row(row: dict[str, Any]) -> dict[str, Any]:
  """Adds the counts to a row that is stored, and therefore never broken."""
  number = row['number'][None]
  return row | {'clip': number, 'asked': number, 'skipped': np.int32(0)}
