"""Ends this process at once, from any thread."""

import multiprocessing
import os
import sys

from absl import logging


def end_now(code: int, line: str):
  """Prints a line and ends this process and its workers; does not return.

  Nothing is cleaned up: threads of JAX may wait for a peer that is gone, so
  that an orderly end would never come.

  Args:
    code: exit code, see `exit_codes`.
    line: what has happened, printed to stderr after all that was logged.
  """
  logging.flush()
  for worker in multiprocessing.active_children():
    worker.kill()
  print(line, file=sys.stderr, flush=True)
  os._exit(code)
