"""Counts the batches that are read ahead, and sets grain's options for it."""

from typing import NamedTuple

import grain

# Number of batches of each worker that grain keeps in any case: one that the
# worker holds until there is room in the queue to its parent, one in this
# queue, one that a thread of the parent holds, and one in that thread's queue.
_KEPT_BY_GRAIN = 4


class ReadAhead(NamedTuple):
  """How batches are read ahead.

  Attributes:
    num_workers: number of processes that read; 0 for a thread of this process.
    prefetch: number of batches to read ahead, 1 or more. Without workers, this
      process reads that many ahead; with workers, each of them reads that many
      and 3 more.
  """

  num_workers: int
  prefetch: int

  @property
  def max_batches(self) -> int:
    """Greatest number of batches that are read but not yet taken.

    This includes the batches of all workers and those that are being read.
    """
    if not self.num_workers:
      return self.prefetch
    return self.num_workers * (self.prefetch - 1 + _KEPT_BY_GRAIN)

  def options(self) -> dict[str, object]:
    """Returns the keyword arguments with which grain's iterators do this."""
    # A worker holds one of its `prefetch` batches for its parent, so its buffer
    # is smaller by 1. A worker without a buffer reads in its main thread.
    buffer = self.prefetch - 1 if self.num_workers else self.prefetch
    return {
        'read_options': grain.ReadOptions(
            num_threads=1, prefetch_buffer_size=buffer
        ),
        'multiprocessing_options': grain.MultiprocessingOptions(
            num_workers=self.num_workers
        ),
    }
