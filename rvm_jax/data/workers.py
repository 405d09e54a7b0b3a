"""How long worker processes live, and who acts on signals."""

from collections.abc import Callable, Iterator
from concurrent import futures
import contextlib
import functools
import multiprocessing
from multiprocessing import resource_tracker
import os
import signal
import threading

# The signals to stop and to write a profile, which are meant for the run and
# may be sent to all processes of a group.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextlib.contextmanager
def without_signals() -> Iterator[None]:
  """Keeps signals to stop away from worker processes that are started inside.

  A signal to stop goes to all processes of a group, and would end a worker
  before its parent has saved. From inside of a worker that is too late to
  prevent, because a worker takes seconds to start. But a process inherits the
  signals that are blocked in the thread that starts it, and so does a thread.
  This process notices the signals in its other threads.
  """
  _start_resource_tracker()
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool(futures.ProcessPoolExecutor):
  """Processes that end with this one, and not by a signal to stop."""

  def __init__(self, count: int):
    """Makes a pool; processes are started when there is something to do.

    Args:
      count: greatest number of processes.
    """
    # The queues of the pool need the resource tracker.
    _start_resource_tracker()
    super().__init__(
        count,
        multiprocessing.get_context('spawn'),
        initializer=live_with_parent,
    )

  def submit(self, function: Callable, /, *arguments, **keywords):
    """Calls a function in a process, which may be started for it."""
    with without_signals():
      return super().submit(function, *arguments, **keywords)


@functools.cache
def live_with_parent():
  """Makes this worker process end with its parent, and not before.

  A worker whose parent is killed would stay for ever: a thread waits for the
  parent and ends the worker. Signals to stop are ignored, also in a worker that
  was not started `without_signals`: the parent closes its workers when it is
  done. In a process without a parent this function does nothing.
  """
  parent = multiprocessing.parent_process()
  if parent is not None:
    # Only the main thread may set a signal's handler.
    if threading.current_thread() is threading.main_thread():
      for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)

    def end_with_parent():
      parent.join()
      os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


@functools.cache
def _start_resource_tracker():
  """Starts the process of multiprocessing that removes what others leave.

  It would unblock the signals if it was started along with the first worker. It
  removes the shared memory of batches that nobody has taken, which is not worth
  the warning that it gives: a run ends while batches are on their way.
  """
  given = os.environ.get('PYTHONWARNINGS')
  ignored = 'ignore:resource_tracker'
  os.environ['PYTHONWARNINGS'] = f'{given},{ignored}' if given else ignored
  # It protects itself from the signals to stop alone.
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
  try:
    resource_tracker.ensure_running()
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if given is None:
      del os.environ['PYTHONWARNINGS']
    else:
      os.environ['PYTHONWARNINGS'] = given
