"""Several samples are cut from each record, which is read once."""

import json
import os

import numpy as np
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import records
from rvm_jax.data import sampler
from tests.data import streams


def build(folders, **changes):
  """Builds a pipeline that cuts two samples from each record."""
  return streams.build(folders, **({'repeats': 2} | changes))


@pytest.fixture
def expected(folders):
  """The first 12 samples, in three batches."""
  return streams.join(streams.take(build(folders).iterator(), 3))


def test_samples_of_a_record_are_neighbours_and_differ(folders, expected):
  assert len(expected['clip']) == 12
  first, second = (
      {key: x[start::2] for key, x in expected.items()} for start in range(2)
  )
  assert np.array_equal(first['clip'][:, :2], second['clip'][:, :2])
  # Their frames and their crops are sampled independently.
  assert not np.array_equal(first['clip'][:, 2], second['clip'][:, 2])
  assert not np.array_equal(first['deltas'], second['deltas'])
  assert not any(map(np.array_equal, first['source'], second['source']))
  # The records come in the order in which they would come without repeats.
  plain = streams.join(streams.take(streams.build(folders).iterator(), 2))
  assert np.array_equal(first['clip'][:, :2], plain['clip'][:6, :2])
  streams.assert_same(
      build(folders).first(3), {key: x[:3] for key, x in expected.items()}
  )


def test_a_record_is_read_once_for_all_of_its_samples():
  read = []

  class Blank:
    """A source of black clips, which notes the frames that are read."""

    def __getitem__(self, number):
      def read_frames(numbers):
        read.append(numbers)
        return np.zeros((len(numbers), 8, 8, 3), np.uint8)

      return records.Record(
          np.array([number, 0]), 40, (0, 20), 25.0, read_frames
      )

  spacing = frame_sampling.Spacing(2, 3, 1, 1, 4)
  cutter = sampler.Sampler(0, Blank(), spacing, 8, 8, (0.5, 1), (1, 1), 0.5)
  samples = cutter.cut(7, np.random.default_rng(0), 4)
  first = samples['clip'][:, 2]
  needed = np.stack([first, first + 1, *(first + samples['deltas'].T)])
  (numbers,) = read
  assert numbers.tolist() == np.unique(needed).tolist()


def test_samples_are_the_same_for_any_workers_shards_and_restarts(
    folders, expected
):
  first = build(folders).iterator()
  next(first)
  state = json.loads(json.dumps(first.get_state()))
  first.close()
  # Two shards, of which one has a worker, and larger batches.
  parts = []
  for shard in range(2):
    batches = build(
        folders,
        batch_size=8,
        shard_index=shard,
        shard_count=2,
        num_workers=shard,
    ).iterator()
    batches.set_state(state)
    parts += streams.take(batches, 1)
  streams.assert_same(
      streams.join(parts), {key: x[4:] for key, x in expected.items()}
  )


def test_all_samples_of_a_broken_record_are_replaced_and_counted(
    folders, expected
):
  built = build(folders)
  os.remove(folders[0] + '/1.mp4')
  samples = streams.join(streams.take(built.iterator(), 3))
  is_broken = (expected['clip'][:, :2] == [0, 1]).all(axis=1)
  assert is_broken.any()
  assert np.array_equal(samples['skipped'] > 0, is_broken)
  assert not (samples['clip'][:, :2] == [0, 1]).all(axis=1).any()
  for key in samples:
    assert np.array_equal(samples[key][~is_broken], expected[key][~is_broken])


def test_shards_that_would_divide_the_samples_of_a_record_are_refused(folders):
  with pytest.raises(ValueError, match='4 must be .* of 2 shards x 4 repeats'):
    build(folders, repeats=4, shard_count=2)
