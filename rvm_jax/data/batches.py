"""The iterator over the batches of a stream, and its position."""

from collections.abc import Iterator
from concurrent.futures import process
import re
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.data import blocks
from rvm_jax.data import workers

# What Grain says of a worker that a signal has ended.
_LOST_WORKER = re.compile(
    'Worker process was terminated .* exit code -([0-9]+)'
)


class Batches(Iterator):
  """An iterator over this shard's part of the batches.

  It must be closed when done, since it may have started worker processes.
  """

  def __init__(
      self,
      iterator: Any,
      samples: blocks.Blocks,
      lengths: list[int],
      num_workers: int,
  ):
    """Wraps an iterator.

    Args:
      iterator: iterator of grain over batches.
      samples: the samples that it takes.
      lengths: number of records of each source.
      num_workers: number of worker processes that the iterator starts.
    """
    self._iterator = iterator
    self._samples = samples
    self._lengths = lengths
    self._has_workers = num_workers > 0

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns this shard's samples of the next batch; see `pipeline`.

    Raises:
      BrokenProcessPool: a worker was killed. The run may be started again.
    """
    if not self._has_workers:
      return next(self._iterator)
    try:
      # The first call starts the workers; so does the one after `set_state`.
      with workers.without_signals():
        return next(self._iterator)
    except RuntimeError as error:
      lost = _LOST_WORKER.search(str(error))
      if not lost:
        raise
      raise process.BrokenProcessPool(
          f'signal {lost[1]} has ended a data worker, perhaps it lacked memory'
      ) from error

  def get_state(self) -> dict[str, Any]:
    """Returns the position in the stream, which is the same in all shards.

    It can be saved as JSON.
    """
    return self._iterator.get_state() | {'num_records': self._lengths}

  def set_state(self, state: dict[str, Any]):
    """Moves to a position.

    Args:
      state: the position, as returned by the `get_state` of any shard. The
        numbers of workers and shards and the batch size may have changed since.
        If a source has another number of records than then, samples come in
        another order, and a warning says so.
    """
    if state['num_records'] != self._lengths:
      logging.warning(
          'The data has changed: sources had %s records, and have %s. Samples'
          ' come in another order than before.',
          state['num_records'],
          self._lengths,
      )
    # Batches begin here, also if their size has changed since.
    self._samples.start = state['global_next_index']
    self._iterator.set_state(state)

  def close(self):
    """Ends the worker processes, if there are any."""
    self._iterator.close()
