"""Divides batches into parts that are read ahead, and counts these parts."""

from typing import NamedTuple

import grain

# Greatest number of samples in a part. Workers that make whole batches would
# hold many times what a step needs if one host reads a batch of thousands.
_MAX_SAMPLES = 32
# Number of parts of each worker that grain keeps in any case: one that the
# worker holds until there is room in the queue to its parent, one in this
# queue, one that a thread of the parent holds, and one in that thread's queue.
_KEPT_BY_GRAIN = 4


class ReadAhead(NamedTuple):
  """How batches are read ahead.

  Attributes:
    num_workers: number of processes that read; 0 for a thread of this process.
    prefetch: number of parts to read ahead, 1 or more. Without workers, this
      process reads that many ahead; with workers, each of them reads that many
      and 3 more.
    num_parts: number of parts of a batch. Each is read by one worker.
  """

  num_workers: int
  prefetch: int
  num_parts: int

  @property
  def max_parts(self) -> int:
    """Greatest number of parts that are read but in no batch taken so far.

    This includes the parts of all workers, those that are being read, and those
    that wait for the rest of their batch.
    """
    if not self.num_workers:
      return self.prefetch
    kept = self.prefetch - 1 + _KEPT_BY_GRAIN
    return self.num_workers * kept + self.num_parts - 1

  def options(self) -> dict[str, object]:
    """Returns these settings as keyword arguments of grain's iterators."""
    # A worker holds one of its `prefetch` parts for its parent, so its buffer
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


def choose(
    num_workers: int, prefetch: int, num_records: int, repeats: int
) -> ReadAhead:
  """Returns how to read batches ahead, in as few equal parts as possible.

  With workers, a part has at most 32 samples, or those of one record if these
  are more. Without workers, a part is a whole batch.

  Args:
    num_workers: number of processes that read; 0 for a thread of this process,
      which reads whole batches.
    prefetch: number of parts to read ahead, 1 or more, as in `ReadAhead`.
    num_records: number of records from which this process takes a batch.
    repeats: number of samples of each record.
  """
  if not num_workers:
    return ReadAhead(num_workers, prefetch, 1)
  # The size of a part in records: the greatest that divides the batch.
  most = min(max(1, _MAX_SAMPLES // repeats), num_records)
  size = next(n for n in range(most, 0, -1) if num_records % n == 0)
  return ReadAhead(num_workers, prefetch, num_records // size)
