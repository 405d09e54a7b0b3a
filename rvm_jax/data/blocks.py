"""The order in which shards take the samples of a batch."""

from typing import Any

import grain


class Blocks(grain.MapDataset):
  """A stream reordered so that a shard gets neighbouring rows of every batch.

  A shard is a process. grain gives sample i of a batch to the shard with number
  i modulo the number of shards. On devices, however, each process holds a block
  of neighbouring rows of the batch: the first of two processes has the first
  half. With the samples reordered, row i of the batch on the devices is sample
  i of the batch in the stream for any number of processes. So the random
  numbers that a step samples for a row go to the same sample, too.

  Attributes:
    start: number of the sample with which the first batch begins; 0 unless it
      is set. To continue a stream, set it before samples are taken.
  """

  def __init__(
      self, stream: grain.MapDataset, batch_size: int, num_shards: int
  ):
    """Reorders a stream.

    Args:
      stream: endless stream of samples.
      batch_size: number of elements of `stream` in a batch, over all shards.
      num_shards: number of shards. It must divide the batch size.
    """
    super().__init__(stream)
    self._batch_size = batch_size
    self._num_shards = num_shards
    self.start = 0

  def __len__(self) -> int:
    return len(self._parent)

  def __getitem__(self, index: int | slice) -> Any:
    """Returns the sample at place `index` of the reordered stream."""
    if isinstance(index, slice):
      return self.slice(index)
    # grain deals out the places of a batch to the shards in turn. The shard's
    # n-th place gets the n-th sample of the shard's block.
    batch, place = divmod(index - self.start, self._batch_size)
    row, shard = divmod(place, self._num_shards)
    row += shard * (self._batch_size // self._num_shards)
    return self._parent[self.start + batch * self._batch_size + row]
