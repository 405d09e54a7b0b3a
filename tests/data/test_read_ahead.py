"""A process and its workers read no more ahead than `max_clips_ahead` says."""

import os
import time

import numpy as np
import pytest

from rvm_jax.data import pipeline
from rvm_jax.data import read_ahead
from rvm_jax.data import records
from tests.data import streams


class Counted:
  """A source of ten black clips; each read makes a file longer by a byte."""

  def __init__(self, path):
    self._path = path

  def __len__(self):
    return 10

  def __getitem__(self, number):
    def read(numbers):
      with open(self._path, 'ab') as file:
        file.write(b'.')
      return np.zeros((len(numbers), 8, 8, 3), np.uint8)

    return records.Record(np.array([number, 0]), 40, (0, 20), 25.0, read)

  def count(self):
    return os.path.getsize(self._path)


@pytest.mark.parametrize(
    'num_workers, prefetch, max_samples, expected, waiting',
    [(0, 2, 3, 2 * 6, 0), (1, 2, 32, 5 * 6, 0), (1, 2, 3, 6 * 3, 3)],
)
def test_no_more_clips_are_read_ahead_than_stated(
    tmp_path,
    monkeypatch,
    num_workers,
    prefetch,
    max_samples,
    expected,
    waiting,
):
  monkeypatch.setattr(read_ahead, '_MAX_SAMPLES', max_samples)
  source = Counted(str(tmp_path / 'reads'))
  monkeypatch.setattr(pipeline, '_scenes', lambda *_: source)
  built = streams.build(
      ('scenes',),
      weights=(1.0,),
      batch_size=6,
      repeats=3,
      num_workers=num_workers,
      prefetch=prefetch,
  )
  assert built.max_clips_ahead == expected
  batches = built.iterator()
  try:
    for _ in range(3):
      next(batches)
    # Each read gives three samples. Between batches no part waits for others.
    limit = (3 * 6 + expected - waiting) // 3
    deadline = time.monotonic() + 60
    while source.count() < limit:
      assert time.monotonic() < deadline, (source.count(), limit)
      time.sleep(0.02)
    # If more was read ahead, the count would grow further in this time.
    time.sleep(0.2)
    assert source.count() == limit
  finally:
    batches.close()


@pytest.mark.parametrize(
    'num_workers, num_records, repeats, num_parts',
    [
        (0, 2048, 1, 1),
        (16, 2048, 1, 64),
        (16, 512, 4, 64),
        (1, 32, 1, 1),
        (1, 33, 1, 3),
        (1, 37, 1, 37),
        (1, 6, 40, 6),
    ],
)
def test_parts_are_as_large_as_they_may_be(
    num_workers, num_records, repeats, num_parts
):
  found = read_ahead.choose(num_workers, 1, num_records, repeats)
  assert found.num_parts == num_parts


def test_batches_in_parts_are_the_same_for_any_shards_and_restarts(
    folders, monkeypatch
):
  whole = streams.build(folders, batch_size=12).iterator()
  expected = streams.join(streams.take(whole, 3))
  first = streams.build(folders, batch_size=12).iterator()
  next(first)
  state = first.get_state()
  first.close()
  # Two shards of 6 samples: 3 parts of 2 by two workers, 2 of 3 by one.
  found = []
  for shard, (num_workers, max_samples) in enumerate([(2, 2), (1, 4)]):
    monkeypatch.setattr(read_ahead, '_MAX_SAMPLES', max_samples)
    batches = streams.build(
        folders,
        batch_size=12,
        shard_index=shard,
        shard_count=2,
        num_workers=num_workers,
    ).iterator()
    batches.set_state(state)
    found.append(streams.take(batches, 2))
    assert batches.get_state()['global_next_index'] == 36
  streams.assert_same(
      streams.join([half for halves in zip(*found) for half in halves]),
      {key: x[12:] for key, x in expected.items()},
  )
