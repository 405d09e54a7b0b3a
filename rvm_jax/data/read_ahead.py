"""How many batches are read ahead, and in which process each of them waits."""

from typing import NamedTuple

import grain

# Batches of a worker that grain keeps in any case: one that the worker holds
# until there is room in the queue to its parent, one in this queue, one that a
# thread of the parent holds, and one in the queue of that thread.
_KEPT_BY_GRAIN = 4


class ReadAhead(NamedTuple):
  """How batches are read ahead.

  Attributes:
    num_workers: number of processes that read; 0 for a thread of this process.
    prefetch: number of batches that are read ahead, 1 or more: by this process
      without workers, else by each worker, and then 3 more.
  """

  num_workers: int
  prefetch: int

  @property
  def max_batches(self) -> int:
    """Greatest number of batches that are read ahead of those taken.

    It counts those of all workers, and those that are being read.
    """
    if not self.num_workers:
      return self.prefetch
    return self.num_workers * (self.prefetch - 1 + _KEPT_BY_GRAIN)

  def options(self) -> dict[str, object]:
    """Returns the arguments of grain's iterators that say so."""
    # A worker with nothing to read ahead reads in its main thread.
    buffer = self.prefetch - 1 if self.num_workers else self.prefetch
    return {
        'read_options': grain.ReadOptions(
            num_threads=1, prefetch_buffer_size=buffer
        ),
        'multiprocessing_options': grain.MultiprocessingOptions(
            num_workers=self.num_workers
        ),
    }
