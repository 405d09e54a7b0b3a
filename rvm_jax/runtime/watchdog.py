"""Ends a run that hangs, for example in a collective that never returns.

The limit on the time since the last step follows from the duration of recent
steps. Activities that take longer than a step, such as compiling or saving,
have a limit of their own.
"""

import collections
from collections.abc import Iterator
import contextlib
import dataclasses
import faulthandler
import os
import statistics
import sys
import threading
import time
from typing import Any

from rvm_jax.runtime import ending
from rvm_jax.runtime import exit_codes
from rvm_jax.runtime import peers as peers_lib

# The folder of the workdir that the stacks of hanging processes are written to.
HANGS = 'hangs'

# The limit is this multiple of the median time of the last `_NUM_STEPS` steps.
_MULTIPLE = 20
_NUM_STEPS = 100
# The least limit. A busy file system can delay a step, but not for this long.
_LEAST_SECONDS = 300.0
# Limit on activities that take longer than a step: the start, with the
# compilation and the first step; an evaluation; a checkpoint.
_LONG_SECONDS = 3600.0
# Longest wait until the stacks are written, as the file system itself may hang.
_WRITE_SECONDS = 10.0
_POLL_SECONDS = 0.5


class Off:
  """Takes the place of a watchdog where nothing is watched."""

  def beat(self, step: int):
    """Does nothing.

    Args:
      step: number of steps done.
    """

  def allow(self, what: str) -> contextlib.AbstractContextManager[None]:
    """Does nothing.

    Args:
      what: what may take longer than a step, such as 'evaluation'.
    """
    del what
    return contextlib.nullcontext()

  def telling(self) -> contextlib.AbstractContextManager[None]:
    """Does nothing."""
    return contextlib.nullcontext()


OFF = Off()


@dataclasses.dataclass
class _Activity:
  """What the run is doing, since when, and for how many seconds at most."""

  what: str
  since: float
  limit: float


class Watchdog(contextlib.AbstractContextManager):
  """Watches a run for hangs, in a `with` block that spans all of its steps.

  If no step is done for too long, it writes the Python stacks of all threads to
  stderr and to the folder `hangs` of the workdir, tells the other processes,
  and ends this process with one line and the exit code `RESTART`.
  """

  def __init__(
      self,
      workdir: str | os.PathLike[str],
      peers: peers_lib.Peers,
      max_step_seconds: float | None,
  ):
    """Prepares to watch.

    Args:
      workdir: folder of the run.
      peers: processes of the run, which are told before this one ends.
      max_step_seconds: longest time from one step to the next; None for 20
        times the median of the last steps, but 300 s at least.
    """
    self._workdir = workdir
    self._peers = peers
    self._max_step_seconds = max_step_seconds
    # Durations of the last steps in seconds, without the time spent in `allow`.
    self._seconds: collections.deque[float] = collections.deque(
        maxlen=_NUM_STEPS
    )
    # Number of steps done, the monotonic time at which the last one was done,
    # and the seconds spent in `allow` since then.
    self._step = 0
    self._step_at: float | None = None
    self._allowed = 0.0
    # Activities that have begun and not ended. Only the innermost, which comes
    # last, is watched.
    self._activities: list[_Activity] = []
    self._lock = threading.Lock()
    self._is_closed = threading.Event()
    self._thread = threading.Thread(
        target=self._watch, name='watchdog', daemon=True
    )

  def __enter__(self) -> 'Watchdog':
    start = _Activity('start of the run', time.monotonic(), _LONG_SECONDS)
    self._activities.append(start)
    self._thread.start()
    return self

  def __exit__(self, kind, error, traceback):
    self._is_closed.set()
    self._thread.join()

  def beat(self, step: int):
    """Tells that a step is done.

    Args:
      step: number of steps done.
    """
    now = time.monotonic()
    with self._lock:
      if self._step_at is not None:
        self._seconds.append(now - self._step_at - self._allowed)
      self._step, self._step_at, self._allowed = step, now, 0.0
      self._activities[0] = _Activity('next step', now, self._limit())

  @contextlib.contextmanager
  def allow(self, what: str) -> Iterator[None]:
    """Allows the block of a `with` statement to take up to an hour.

    The time in the block does not count as time of a step.

    Args:
      what: name of the activity for messages, such as 'evaluation'.
    """
    start = time.monotonic()
    with self._lock:
      self._activities.append(_Activity(what, start, _LONG_SECONDS))
    try:
      yield
    finally:
      with self._lock:
        self._activities.pop()
        now = self._activities[-1].since = time.monotonic()
        if len(self._activities) == 1:
          self._allowed += now - start

  def telling(self) -> contextlib.AbstractContextManager[Any]:
    """Tells the other processes of an error that ends a `with` block.

    Closing files and threads after the block may take up to an hour, because it
    may wait for the other processes.
    """
    told = contextlib.ExitStack()
    told.push(self._tell)
    return told

  def _tell(self, kind, error, trace):
    """Tells of an error at the end of a block of `telling`."""
    if isinstance(error, Exception):
      self._peers.tell(error)
      end = _Activity('end after an error', time.monotonic(), _LONG_SECONDS)
      with self._lock:
        self._activities.append(end)

  def _limit(self) -> float:
    """Returns the longest time from now to the next step, in seconds."""
    if self._max_step_seconds is not None:
      return self._max_step_seconds
    if not self._seconds:
      return _LONG_SECONDS
    return max(_MULTIPLE * statistics.median(self._seconds), _LEAST_SECONDS)

  def _watch(self):
    while not self._is_closed.wait(_POLL_SECONDS):
      with self._lock:
        activity = self._activities[-1]
      seconds = time.monotonic() - activity.since
      if seconds > activity.limit:
        self._end(
            f'hangs after step {self._step}: {activity.what} not done after'
            f' {seconds:.0f} s (limit {activity.limit:.0f} s)'
        )

  def _end(self, why: str):
    """Writes the stacks and ends the run."""
    number = self._peers.me.process
    path = os.path.join(
        self._workdir, HANGS, f'step_{self._step}_process_{number}.txt'
    )
    why += f'. Python stacks: {path}'
    line = f'{self._peers.me} {why}'
    faulthandler.dump_traceback(sys.stderr)
    # A thread writes the stacks, because the file system may be what hangs.
    writer = threading.Thread(
        target=_write_stacks, args=(path, line), daemon=True
    )
    writer.start()
    writer.join(_WRITE_SECONDS)
    self._peers.fail(why)
    ending.end_now(exit_codes.RESTART, line)


def _write_stacks(path: str, line: str):
  """Writes a line and the Python stacks of all threads to a file."""
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with open(path, 'w', encoding='utf-8') as file:
    print(line, end='\n\n', file=file, flush=True)
    faulthandler.dump_traceback(file)
