"""Workers outlive a signal to stop, and end with their parent."""

import os
import signal
import subprocess
import sys
import time

from rvm_jax.data import workers

# A parent that starts a worker, tells its process id, and waits for ever.
PARENT = """
import multiprocessing
import time
from tests.data import test_workers

if __name__ == '__main__':
  context = multiprocessing.get_context('spawn')
  child = context.Process(target=test_workers.work, daemon=True)
  child.start()
  time.sleep(60)
"""


def work():
  workers.live_with_parent()
  print(os.getpid(), flush=True)
  time.sleep(60)


def is_alive(pid):
  """Whether a process runs; one that ended and waits to be reaped does not."""
  try:
    with open(f'/proc/{pid}/stat') as file:
      return file.read().rpartition(')')[2].split()[0] != 'Z'
  except FileNotFoundError:
    return False


def test_worker_ignores_sigterm_and_ends_with_its_parent(tmp_path):
  script = tmp_path / 'parent.py'
  script.write_text(PARENT)
  parent = subprocess.Popen(
      [sys.executable, str(script)],
      stdout=subprocess.PIPE,
      text=True,
      env=os.environ | {'PYTHONPATH': os.getcwd()},
  )
  try:
    worker = int(parent.stdout.readline())
    os.kill(worker, signal.SIGTERM)
    time.sleep(0.5)
    assert is_alive(worker)
  finally:
    parent.kill()
    parent.wait()
  deadline = time.monotonic() + 30
  while is_alive(worker):
    assert time.monotonic() < deadline
    time.sleep(0.05)


def test_process_without_a_parent_keeps_its_signals():
  before = signal.getsignal(signal.SIGTERM)
  workers.live_with_parent()
  assert signal.getsignal(signal.SIGTERM) == before
