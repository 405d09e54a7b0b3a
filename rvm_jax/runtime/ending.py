"""Ends this process at once, from any thread."""

from collections.abc import Callable
import multiprocessing
import os
import sys
import threading

from absl import logging

_ending = threading.Lock()
_listeners: list[Callable[[int, str], None]] = []


def tell(listener: Callable[[int, str], None]):
  """Registers a function that `end_now` calls before it ends this process.

  Args:
    listener: function whose arguments are those of `end_now`. It may be called
      from any thread, and must return soon.
  """
  _listeners.append(listener)


def tell_no_more(listener: Callable[[int, str], None]):
  """Undoes `tell`.

  Args:
    listener: function that was registered with `tell`.

  Raises:
    ValueError: the function is not registered.
  """
  _listeners.remove(listener)


def end_now(code: int, line: str):
  """Prints a line and ends this process and its workers; does not return.

  Nothing is cleaned up, because threads of JAX may wait for a lost process, and
  an orderly end would then never come.

  Args:
    code: exit code, see `exit_codes`.
    line: what has happened. It is printed to stderr after everything that was
      logged.
  """
  # If several threads end the process, the first one prints its line. The
  # others wait here, since the lock is never released.
  _ending.acquire()
  logging.flush()
  for worker in multiprocessing.active_children():
    worker.kill()
  print(line, file=sys.stderr, flush=True)
  for listener in _listeners:
    listener(code, line)
  os._exit(code)
