"""Measures how fast a run is and how long it waits for data."""

from collections.abc import Iterator
import contextlib
import time
from typing import Any, NamedTuple


class Interval(NamedTuple):
  """What was measured from one reading of the stopwatch to the next.

  Attributes:
    steps: number of batches taken, one for each step.
    clips: number of clips in them, over all processes.
    seconds: duration of the steps, without what was timed apart.
    data_wait: the part of `seconds` that was spent waiting for data.
  """

  steps: int
  clips: int
  seconds: float
  data_wait: float

  def rates(self) -> dict[str, float]:
    """Returns rates by name; none if no step was done.

    Returns:
      'clips_per_second', and 'data_wait', the share of the time that was spent
      waiting for data, in [0, 1].
    """
    if not self.steps:
      return {}
    return {
        'clips_per_second': self.clips / self.seconds,
        'data_wait': self.data_wait / self.seconds,
    }


class Span:
  """A duration that was timed apart.

  Attributes:
    seconds: the duration; 0 until the `with` block has ended.
  """

  seconds = 0.0


class Stopwatch:
  """Measures the time that steps take, and only that.

  A step that is dispatched is not done yet. The time until it is done is
  counted as time of whatever the host does meanwhile. So wait for the last step
  before the stopwatch is read and before anything is timed apart.

  Attributes:
    steps: number of batches taken since the last reading, or the start.
  """

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
    self._data_wait += time.perf_counter() - start
    self.steps += 1
    self._clips += num_clips
    return batch

  @contextlib.contextmanager
  def apart(self) -> Iterator[Span]:
    """Times a block that is not part of a step, such as an evaluation.

    Yields:
      The span, which holds the duration when the block has ended.
    """
    span = Span()
    start = time.perf_counter()
    try:
      yield span
    finally:
      span.seconds = time.perf_counter() - start
      self._apart += span.seconds

  def read(self) -> Interval:
    """Returns what was measured since the last call, or the start."""
    elapsed = time.perf_counter() - self._start
    interval = Interval(
        self.steps, self._clips, elapsed - self._apart, self._data_wait
    )
    self._restart()
    return interval

  def _restart(self):
    self._start = time.perf_counter()
    self.steps = 0
    self._clips = 0
    self._data_wait = 0.0
    self._apart = 0.0
