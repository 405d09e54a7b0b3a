"""Batches of features and truths without end, to fit a head to.

The order follows from the seed and the number of examples alone, and the
position in it is one integer: the streams are the trainer's pipelines.
"""

from collections.abc import Callable, Sequence
from typing import Any

import grain
from grain import experimental as grain_experimental
import numpy as np

from rvm_jax.data import pipeline
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import examples as examples_lib
from rvm_jax.evals.fitting import feature_store as feature_store_lib

Batch = dict[str, np.ndarray]
_PREFETCH = 2  # Batches.


class Stream:
  """A `training.loop.Pipeline`: `of_stored` or `of_records` make one.

  Batches hold `features`, [B, T, N, C], and the truths; `clip`, the number of
  the record, int64 [B, 1]; and `skipped`, int32 [B].

  Attributes:
    bad: numbers of records that could not be read when it was their turn, so
      far; also before a position that an iterator was set to.
  """

  def __init__(
      self,
      dataset: grain.MapDataset,
      records: Sequence[examples_lib.Record],
      finish: Callable[[Batch], Batch],
      *,
      batch_size: int,
      num_workers: int,
  ):
    """Takes endless examples, and what is done to batches of them.

    Examples have `asked`, int64 [1], the record whose turn it was: a broken one
    if any were skipped.
    """
    self.bad = set()
    self._dataset = dataset
    self._records = records
    self._finish = finish
    self._batch_size = batch_size
    self._num_workers = num_workers

  def iterator(self) -> 'Batches':
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
    return Batches(elastic, [len(self._records)], self._finish_batch, self.bad)

  def first(self, count: int) -> Batch:
    """Returns the stream's first examples as a batch."""
    rows = [self._dataset[number] for number in range(count)]
    return self._finish_batch(
        {k: np.stack([x[k] for x in rows]) for k in rows[0]}
    )

  def describe(self, clip: np.ndarray) -> str:
    """The name of the record with the number `clip`, [1]."""
    return self._records[int(clip[0])].name

  def _finish_batch(self, batch: Batch) -> Batch:
    asked = batch.pop('asked')
    self.bad.update(asked[batch['skipped'] > 0, 0].tolist())
    return self._finish(batch)


class Batches(pipeline.Batches):
  """Those of the pipeline, with something done to each.

  The numbers of broken records are part of the position: what goes on from
  there knows them.
  """

  def __init__(self, iterator, lengths, finish, bad):
    super().__init__(iterator, lengths)
    self._finish = finish
    self._bad = bad

  def __next__(self) -> Batch:
    return self._finish(super().__next__())

  def get_state(self) -> dict[str, Any]:
    return super().get_state() | {'bad': sorted(self._bad)}

  def set_state(self, state: dict[str, Any]):
    self._bad.update(state.get('bad', ()))  # Positions of old have none.
    super().set_state(state)


def of_stored(
    stored: feature_store_lib.Stored,
    records: Sequence[examples_lib.Record],
    *,
    batch_size: int,
    seed: int,
) -> Stream:
  """Features that are on disk."""
  order_seed, _ = _seeds(seed)
  rows = grain.MapDataset.source(stored).shuffle(seed=order_seed).repeat()
  return Stream(
      rows.map(_count),
      records,
      lambda batch: batch,
      batch_size=batch_size,
      num_workers=0,
  )


def of_records(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.Record],
    *,
    batch_size: int,
    seed: int,
    is_augmented: bool,
    num_workers: int,
) -> Stream:
  """Features that are computed batch by batch.

  Args:
    model: the encoder.
    records: the examples.
    batch_size: B.
    seed: of the order, and of what is augmented.
    is_augmented: each reading of an example draws another one.
    num_workers: processes that read examples; 0 for a thread.
  """
  order_seed, draw_seed = _seeds(seed)
  numbers = grain.MapDataset.range(len(records)).shuffle(seed=order_seed)

  def finish(batch):
    frames = batch.pop('frames')
    features = feature_store_lib.encode_frames(model, frames, len(frames))
    return batch | {'features': features}

  return Stream(
      numbers.repeat().random_map(_Draw(records, is_augmented), seed=draw_seed),
      records,
      finish,
      batch_size=batch_size,
      num_workers=num_workers,
  )


def _seeds(seed: int) -> list[int]:
  return np.random.SeedSequence(seed).generate_state(2).tolist()


class _Draw(examples_lib.Draw):

  def __call__(self, number, rng):
    return super().__call__(number, rng) | {'asked': np.array([number])}


def _count(row: dict[str, Any]) -> dict[str, Any]:
  number = row['number'][None]
  return row | {'clip': number, 'asked': number, 'skipped': np.int32(0)}
