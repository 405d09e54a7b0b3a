"""A process and its workers read no more ahead than `max_clips_ahead` says."""

import os
import time

import numpy as np
import pytest

from rvm_jax.data import pipeline
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
    'num_workers, prefetch, expected', [(0, 2, 2 * 6), (1, 2, 5 * 6)]
)
def test_no_more_clips_are_read_ahead_than_stated(
    tmp_path, monkeypatch, num_workers, prefetch, expected
):
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
    # Each read gives three samples.
    limit = (3 * 6 + expected) // 3
    deadline = time.monotonic() + 60
    while source.count() < limit:
      assert time.monotonic() < deadline, (source.count(), limit)
      time.sleep(0.02)
    # If more was read ahead, the count would grow further in this time.
    time.sleep(0.2)
    assert source.count() == limit
  finally:
    batches.close()
