"""Ends a run that hangs, such as in a collective that never returns.

The limit on the time since the last step follows from the steps so far. What
takes longer than a step, such as compiling or saving, has a limit of its own.
"""

from collections.abc import Callable, Iterator
import collections
import contextlib
import dataclasses
import faulthandler
import os
import statistics
import sys
import threading
import time

from rvm_jax.runtime import ending
from rvm_jax.runtime import exit_codes

# The folder of the workdir that the stacks of hanging processes are written to.
HANGS = 'hangs'

# The limit is this multiple of the median time of the last steps, and not below
# a limit that no wait of a busy file system exceeds, in seconds.
_MULTIPLE = 20
_LEAST_SECONDS = 300.0
_NUM_STEPS = 100
# Limit until the first step is done: compilation and the first data.
_START_SECONDS = 3600.0
_POLL_SECONDS = 0.5


@dataclasses.dataclass
class _Activity:
  """What the run is doing, since when, and for how many seconds at most."""

  what: str
  since: float
  limit: float


class Watchdog(contextlib.AbstractContextManager):
  """Watches that steps are done; as a context manager it spans all steps.

  If none is done for too long, it writes the Python stacks of all threads to
  stderr and to `workdir`/hangs, tells the other processes, and ends this
  process with one line and the exit code `RESTART`.
  """

  def __init__(
      self,
      workdir: str | os.PathLike[str],
      process: int,
      fail: Callable[[str], None],
      max_step_seconds: float | None = None,
  ):
    """Prepares to watch.

    Args:
      workdir: folder of the run.
      process: number of this process in the run, from 0.
      fail: function that tells the other processes that this one is about to
        end; it is called with a line that says why.
      max_step_seconds: longest time from one step to the next; None for a
        multiple of the median of the last steps, and 300 s at least.
    """
    self._workdir = workdir
    self._process = process
    self._fail = fail
    self._max_step_seconds = max_step_seconds
    self._seconds: collections.deque[float] = collections.deque(
        maxlen=_NUM_STEPS
    )
    self._step: int | None = None
    # The innermost activity comes last; it alone is watched.
    self._activities: list[_Activity] = []
    # Whether the time since the last step says how long a step takes.
    self._is_plain = False
    self._lock = threading.Lock()
    self._is_closed = threading.Event()
    self._thread = threading.Thread(
        target=self._watch, name='watchdog', daemon=True
    )

  def __enter__(self) -> 'Watchdog':
    start = _Activity('starting', time.monotonic(), _START_SECONDS)
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
      if self._is_plain:
        self._seconds.append(now - self._activities[0].since)
      self._is_plain = True
      self._step = step
      self._activities[0] = _Activity('training', now, self._limit())

  @contextlib.contextmanager
  def allow(self, what: str, seconds: float) -> Iterator[None]:
    """Gives the block of a `with` statement a time limit of its own.

    The time in the block does not count as that of a step.

    Args:
      what: what the block does, such as 'saving'.
      seconds: longest time that it may take.
    """
    with self._lock:
      self._activities.append(_Activity(what, time.monotonic(), seconds))
    try:
      yield
    finally:
      with self._lock:
        self._activities.pop()
        self._activities[-1].since = time.monotonic()
        self._is_plain = False

  def _limit(self) -> float:
    """Returns the longest time from now to the next step, in seconds."""
    if self._max_step_seconds is not None:
      return self._max_step_seconds
    if not self._seconds:
      return _START_SECONDS
    return max(_MULTIPLE * statistics.median(self._seconds), _LEAST_SECONDS)

  def _watch(self):
    while not self._is_closed.wait(_POLL_SECONDS):
      with self._lock:
        activity = self._activities[-1]
        after = 'before the first step'
        if self._step is not None:
          after = f'after step {self._step}'
      seconds = time.monotonic() - activity.since
      if seconds > activity.limit:
        self._end(
            f'hangs {after}: {activity.what} for {seconds:.0f} s, more than'
            f' {activity.limit:.0f} s'
        )

  def _end(self, line: str):
    """Writes the stacks and ends the run."""
    folder = os.path.join(self._workdir, HANGS)
    path = os.path.join(
        folder, f'{time.strftime("%Y%m%d_%H%M%S")}_process_{self._process}.txt'
    )
    line += f'. Its Python stacks: {path}'
    self._fail(line)
    faulthandler.dump_traceback(sys.stderr)
    with contextlib.suppress(OSError):
      # The file system may be what hangs; others have been told before.
      os.makedirs(folder, exist_ok=True)
      with open(path, 'w', encoding='utf-8') as file:
        file.write(line + '\n')
        file.flush()
        faulthandler.dump_traceback(file)
    ending.end_now(exit_codes.RESTART, f'process {self._process} {line}')
