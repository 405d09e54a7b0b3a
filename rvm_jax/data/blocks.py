"""The order in which shards take the samples of a batch."""

from typing import Any

import grain


class Blocks(grain.MapDataset):
  """Samples in such an order that each shard gets a block of every batch.

  grain gives sample i of a batch to shard i modulo the number of shards. On
  devices, however, each shard of a batch is a block of neighbouring rows: the
  first of two processes has the first half. With the samples reordered, row i
  of the batch on the devices is sample i of the stream for any number of
  processes, and so are all numbers that are drawn for it.

  Attributes:
    start: number of the sample that the next batch begins with. It can be set
      before samples are taken.
  """

  def __init__(
      self, stream: grain.MapDataset, batch_size: int, num_shards: int
  ):
    """Reorders a stream.

    Args:
      stream: endless stream of samples.
      batch_size: number of samples in a batch, over all shards.
      num_shards: number of shards, which divides the batch size.
    """
    super().__init__(stream)
    self._batch_size = batch_size
    self._num_shards = num_shards
    self.start = 0

  def __len__(self) -> int:
    return len(self._parent)

  def __getitem__(self, index: int | slice) -> Any:
    """Returns the sample that grain takes for number `index`."""
    if isinstance(index, slice):
      return self.slice(index)
    batch, place = divmod(index - self.start, self._batch_size)
    row, shard = divmod(place, self._num_shards)
    row += shard * (self._batch_size // self._num_shards)
    return self._parent[self.start + batch * self._batch_size + row]
