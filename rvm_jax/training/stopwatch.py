"""Measures how fast a run is and how long it waits for data."""

from collections.abc import Iterator
import time
from typing import Any


class Stopwatch:
  """Measures clips per second and the share of time spent waiting for data."""

  def __init__(self):
    """Starts the clock."""
    self._restart()

  def take(self, iterator: Iterator[Any], num_clips: int) -> Any:
    """Returns the next batch and counts the time this takes as waiting time.

    Args:
      iterator: the stream of batches.
      num_clips: number of clips in the batch, over all processes.
    """
    start = time.perf_counter()
    batch = next(iterator)
    self._waited += time.perf_counter() - start
    self._clips += num_clips
    return batch

  def read(self) -> dict[str, float]:
    """Returns the rates since the last call (or the start) and starts anew.

    Returns:
      'clips_per_second', and 'data_wait', the share of the time that was spent
      waiting for data, in [0, 1].
    """
    elapsed = time.perf_counter() - self._start
    rates = {
        'clips_per_second': self._clips / elapsed,
        'data_wait': self._waited / elapsed,
    }
    self._restart()
    return rates

  def _restart(self):
    self._start = time.perf_counter()
    self._waited = 0.0
    self._clips = 0
