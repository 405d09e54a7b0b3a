"""Workers ignore signals to the run, and end with their parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from rvm_jax.data import workers

# A parent that starts a worker, which prints its process id, and then waits.
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

# A parent that sends signals to its worker before the worker has run a line of
# Python, and SIGTERM to itself, which its other thread receives.
STARTING = """
import multiprocessing
import os
import signal
import threading
import time
from rvm_jax.data import workers

if __name__ == '__main__':
  seen = []
  signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
  threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
  with workers.without_signals():
    child = multiprocessing.get_context('spawn').Process(
        target=print, args=('it works',)
    )
    child.start()
    os.kill(child.pid, signal.SIGTERM)
    os.kill(child.pid, signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    child.join()
    print(child.exitcode, len(seen))
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


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_worker_ignores_signals_and_ends_with_its_parent(tmp_path, number):
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
    os.kill(worker, number)
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


def run(tmp_path, code):
  script = tmp_path / 'parent.py'
  script.write_text(code)
  return subprocess.run(
      [sys.executable, str(script)],
      capture_output=True,
      text=True,
      env=os.environ | {'PYTHONPATH': os.getcwd()},
      timeout=120,
      start_new_session=True,
  )


def test_signal_does_not_end_a_worker_that_is_being_started(tmp_path):
  done = run(tmp_path, STARTING)
  assert done.stdout == 'it works\n0 1\n', done.stderr
  before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
  with workers.without_signals():
    assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
  assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


# A parent that ends without cleaning up while something is in shared memory.
LEAVING = """
import os
import signal
from multiprocessing import shared_memory
from rvm_jax.data import workers

signal.signal(signal.SIGUSR1, lambda number, frame: None)
workers.Pool(1)
print(shared_memory.SharedMemory(create=True, size=8).name, flush=True)
# The signal for a profile goes to all processes of the group.
os.killpg(0, signal.SIGUSR1)
os._exit(0)
"""


def test_shared_memory_that_is_left_is_removed_without_a_warning(tmp_path):
  # The output ends when multiprocessing's own process, which inherits it, ends.
  done = run(tmp_path, LEAVING)
  assert done.stderr == ''
  assert not os.path.exists(f'/dev/shm/{done.stdout.strip()}')


# A pool whose process gets signals before it has run a line of Python.
POOL = """
import multiprocessing
import os
import signal
from rvm_jax.data import workers

if __name__ == '__main__':
  with workers.Pool(1) as pool:
    number = pool.submit(os.getpid)
    (child,) = multiprocessing.active_children()
    os.kill(child.pid, signal.SIGTERM)
    os.kill(child.pid, signal.SIGINT)
    print(number.result() == child.pid, list(pool.map(abs, [-1, -2])))
"""


def test_signal_does_not_end_a_process_of_a_pool(tmp_path):
  done = run(tmp_path, POOL)
  assert done.stdout == 'True [1, 2]\n', done.stderr
