"""Worker processes that end with their parent and ignore signals to the run."""

from collections.abc import Callable, Iterator
from concurrent import futures
import contextlib
import functools
import multiprocessing
from multiprocessing import resource_tracker
import os
import signal
import threading

# The signals to stop (SIGTERM, SIGINT) and to write a profile (SIGUSR1). They
# are meant for the run, but may be sent to all processes of its group.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@contextlib.contextmanager
def without_signals() -> Iterator[None]:
  """Blocks signals to the run in worker processes started inside the context.

  A signal to stop may go to all processes of a group, and would end a worker
  before its parent has saved. A worker cannot prevent this itself, because it
  takes seconds to start. Instead, this thread blocks the signals: processes and
  threads that it starts inherit the block. The other threads of this process
  still receive the signals.
  """
  _start_resource_tracker()
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool(futures.ProcessPoolExecutor):
  """A pool of processes that end with this process and ignore signals to it."""

  def __init__(self, count: int):
    """Creates a pool, which starts its processes when they are needed.

    Args:
      count: greatest number of processes.
    """
    # The queues of the pool would otherwise start the resource tracker.
    _start_resource_tracker()
    super().__init__(
        count,
        multiprocessing.get_context('spawn'),
        initializer=live_with_parent,
    )

  def submit(self, function: Callable, /, *arguments, **keywords):
    """Calls a function in a process of the pool; returns a Future."""
    with without_signals():
      return super().submit(function, *arguments, **keywords)


@functools.cache
def live_with_parent():
  """Makes this worker process end with its parent, and not before.

  A worker whose parent is killed would otherwise live for ever, so a thread
  waits for the parent to end and then ends the worker. The worker ignores the
  signals to the run, even if it was not started `without_signals`, because the
  parent closes its workers when it is done. In a process without a parent this
  function does nothing.
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
  """Starts multiprocessing's resource tracker, out of reach of the signals.

  The resource tracker is a process that removes the shared memory which other
  processes leave behind. It must be started here, before the first worker:
  otherwise multiprocessing starts it just before that worker and then unblocks
  the signals, so that the worker gets them. The tracker's warning about shared
  memory that is left over is turned off, because it is usual that a run ends
  while batches are still on their way.
  """
  given = os.environ.get('PYTHONWARNINGS')
  ignored = 'ignore:resource_tracker'
  os.environ['PYTHONWARNINGS'] = f'{given},{ignored}' if given else ignored
  # The tracker itself ignores SIGTERM and SIGINT, but not SIGUSR1.
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
  try:
    resource_tracker.ensure_running()
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if given is None:
      del os.environ['PYTHONWARNINGS']
    else:
      os.environ['PYTHONWARNINGS'] = given
