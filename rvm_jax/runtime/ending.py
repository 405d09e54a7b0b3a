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
  """Has a function called before `end_now` ends this process.

  Args:
    listener: function of the exit code and the line. It may be called from any
      thread, and must return soon.
  """
  _listeners.append(listener)


def tell_no_more(listener: Callable[[int, str], None]):
  """Undoes `tell`."""
  _listeners.remove(listener)


def end_now(code: int, line: str):
  """Prints a line and ends this process and its workers; does not return.

  Nothing is cleaned up: threads of JAX may wait for a peer that is gone, so
  that an orderly end would never come.

  Args:
    code: exit code, see `exit_codes`.
    line: what has happened, printed to stderr after all that was logged.
  """
  # Of several threads that end the process the first says why; the others wait
  # here.
  _ending.acquire()
  logging.flush()
  for worker in multiprocessing.active_children():
    worker.kill()
  print(line, file=sys.stderr, flush=True)
  for listener in _listeners:
    listener(code, line)
  os._exit(code)
