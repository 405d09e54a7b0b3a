"""Iterates over the batches of a stream; the position can be saved."""

from collections.abc import Iterator
from concurrent.futures import process
import re
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.data import blocks
from rvm_jax.data import workers

# The message of grain's error when a signal has ended a worker process.
_LOST_WORKER = re.compile(
    'Worker process was terminated .* exit code -([0-9]+)'
)


class Batches(Iterator):
  """An iterator over batches, which returns one shard's samples of each batch.

  A shard is a process. Close the iterator after use, since it may have started
  worker processes.
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
      iterator: grain iterator over batches, or over parts of them.
      samples: dataset from which `iterator` takes its samples. `set_state` sets
        its attribute `start`.
      lengths: number of records of each source.
      num_workers: number of worker processes that the iterator starts.
    """
    self._iterator = iterator
    self._samples = samples
    self._lengths = lengths
    self._has_workers = num_workers > 0

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns this shard's samples of the next batch, arrays by name.

    Raises:
      BrokenProcessPool: a signal has ended a worker. The run may be started
        again.
    """
    if not self._has_workers:
      return next(self._iterator)
    try:
      # The first call starts the workers, and so does the first one after
      # `set_state`. Workers must not get signals that are meant for the run.
      with workers.without_signals():
        return next(self._iterator)
    except RuntimeError as error:
      lost = _LOST_WORKER.search(str(error))
      if not lost:
        raise
      raise process.BrokenProcessPool(
          f'signal {lost[1]} has ended a data worker, perhaps for lack of'
          ' memory: start the run again. If this recurs, lower num_workers or'
          ' prefetch'
      ) from error

  def get_state(self) -> dict[str, Any]:
    """Returns the position in the stream as a dict that JSON can hold.

    The position is the same in all shards.
    """
    return self._iterator.get_state() | {'num_records': self._lengths}

  def set_state(self, state: dict[str, Any]):
    """Moves to a position in the stream.

    Args:
      state: the position, as returned by the `get_state` of any shard. The
        numbers of workers and shards and the batch size may have changed since.
        If a source has more or fewer records now, samples come in another
        order than before; this is logged as a warning.
    """
    if state['num_records'] != self._lengths:
      logging.warning(
          'The data has changed: sources had %s records, and have %s. Samples'
          ' come in another order than before.',
          state['num_records'],
          self._lengths,
      )
    # The next batch begins at this sample, which need not be a multiple of the
    # batch size: the size may have changed since.
    self._samples.start = state['global_next_index']
    self._iterator.set_state(state)

  def close(self):
    """Ends the worker processes, if there are any."""
    self._iterator.close()
