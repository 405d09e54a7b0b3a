"""How long worker processes live."""

import functools
import multiprocessing
import os
import signal
import threading


@functools.cache
def live_with_parent():
  """Makes this worker process end with its parent, and not before.

  A worker whose parent is killed would stay for ever: a thread waits for the
  parent and ends the worker. A signal to stop (SIGTERM) that goes to all
  processes of a group would end the worker before its parent has saved: the
  worker ignores it, and the parent closes its workers when it is done. In a
  process without a parent this function does nothing.
  """
  parent = multiprocessing.parent_process()
  if parent is not None:
    # Only the main thread may set a signal's handler.
    if threading.current_thread() is threading.main_thread():
      signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def end_with_parent():
      parent.join()
      os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
