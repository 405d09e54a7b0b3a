"""Ending a process at once."""

import subprocess
import sys
import time

CODE = """
import multiprocessing, threading, time
from rvm_jax.runtime import ending

def sleep(pid):
  time.sleep(1000)

if __name__ == '__main__':
  worker = multiprocessing.get_context('fork').Process(target=sleep, args=(1,))
  worker.start()
  print(worker.pid, flush=True)
  threading.Thread(target=ending.end_now, args=(76, 'a line')).start()
  time.sleep(1000)
"""


def test_end_now_ends_from_a_thread_with_the_line_and_without_workers():
  done = subprocess.run(
      [sys.executable, '-c', CODE], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 76
  assert done.stderr.splitlines()[-1] == 'a line'
  # The killed worker stays a zombie until process 1 waits for it, because its
  # parent is gone.
  for _ in range(100):
    stat = read_state(done.stdout.strip())
    if stat in (None, 'Z'):
      return
    time.sleep(0.05)
  raise AssertionError('the worker still runs')


LISTEN = """
from rvm_jax.runtime import ending

def say(code, line):
  print(code, line, flush=True)

def say_nothing(code, line):
  print('wrong')

ending.tell(say)
ending.tell(say_nothing)
ending.tell_no_more(say_nothing)
ending.end_now(76, 'a line')
"""


def test_end_now_tells_its_listeners():
  done = subprocess.run(
      [sys.executable, '-c', LISTEN],
      capture_output=True,
      text=True,
      timeout=60,
  )
  assert (done.returncode, done.stdout) == (76, '76 a line\n')


def read_state(pid):
  """Returns the state of a process, such as 'S', or None if there is none."""
  try:
    with open(f'/proc/{pid}/stat') as file:
      return file.read().rpartition(')')[2].split()[0]
  except FileNotFoundError:
    return None
