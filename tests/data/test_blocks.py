"""Shards get blocks of neighbouring samples of a batch."""

import grain
import pytest

from rvm_jax.data import blocks


def shards_of(stream, start, count):
  """Returns for each of `count` shards its samples of a batch of 8, as grain.

  grain takes every `count`-th sample of the batch that begins at `start`.
  """
  return [[stream[start + i] for i in range(s, 8, count)] for s in range(count)]


@pytest.mark.parametrize('start', [0, 8, 13])
def test_each_shard_gets_a_block_of_the_batch(start):
  stream = blocks.Blocks(grain.MapDataset.range(100), 8, 2)
  stream.start = start
  for first in start, start + 8:
    assert shards_of(stream, first, 2) == [
        [first, first + 1, first + 2, first + 3],
        [first + 4, first + 5, first + 6, first + 7],
    ]


def test_one_shard_keeps_the_order():
  stream = blocks.Blocks(grain.MapDataset.range(100), 8, 1)
  assert len(stream) == 100
  assert list(stream[10:30:3]) == list(range(10, 30, 3))
