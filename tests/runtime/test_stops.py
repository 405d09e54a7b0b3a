"""Signals are noticed at once, and all processes stop at the same step."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from rvm_jax.runtime import stops

ROOT = pathlib.Path(__file__).parents[2]

# The main thread is inside of one long call, in which Python calls no handler.
BUSY = """
import hashlib
from absl import logging
from rvm_jax.runtime import stops

logging.set_verbosity(logging.INFO)
stop = stops.Stop()
print('busy', flush=True)
hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)
"""
# Asks at each step and reads the answer one step later, as the training loop
# does.
STEPS = """
import sys
import jax
from rvm_jax.runtime import stops

stop = stops.Stop()
jax.config.update('jax_cpu_collectives_implementation', 'gloo')
jax.config.update('jax_enable_preemption_service', False)
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
answer = stop.ask()
for step in range(100_000):
  asked = stop.ask()
  if answer.result():
    break
  if step == 10:
    print('running', flush=True)
  answer = asked
print('stopped at', step)
try:
  stop.check()
except stops.Stopped:
  print('stopped again')
"""


@pytest.fixture
def start():
  """Returns a function that starts a Python process; kills it at the end."""
  processes = []

  def start_(code, *arguments):
    process = subprocess.Popen(
        [sys.executable, '-c', code, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    processes.append(process)
    return process

  yield start_
  for process in processes:
    process.kill()
    process.communicate()


@pytest.fixture
def stop():
  stop_ = stops.Stop()
  yield stop_
  stop_.close()


def wait_for(process, stream, text):
  for line in stream:
    if text in line:
      return
  raise AssertionError(f'no {text!r}, exit code {process.wait()}')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_stop_is_asked_for_by_a_signal_and_raised_by_check(stop, number):
  stop.check()
  assert not stop.ask().result()
  before = stop.ask()
  os.kill(os.getpid(), number)
  while not stop.ask().result():
    pass
  with pytest.raises(stops.Stopped):
    stop.check()
  assert not before.result(), 'an answer changes'


def test_second_sigterm_changes_nothing(stop):
  for _ in range(3):
    os.kill(os.getpid(), signal.SIGTERM)
  while not stop.ask().result():
    pass


def test_close_restores_the_handlers():
  before = signal.getsignal(signal.SIGINT)
  stop = stops.Stop()
  assert signal.getsignal(signal.SIGINT) != before
  stop.close()
  assert signal.getsignal(signal.SIGINT) == before


def test_second_ctrl_c_ends_a_busy_process_at_once(start):
  process = start(BUSY)
  wait_for(process, process.stdout, 'busy')
  process.send_signal(signal.SIGINT)
  wait_for(
      process, process.stderr, 'SIGINT: stopping after this step; a second'
  )
  assert process.poll() is None
  process.send_signal(signal.SIGINT)
  _, errors = process.communicate(timeout=60)
  assert process.returncode == 130
  assert errors == 'ended by a second Ctrl-C: nothing is saved\n'


def test_all_processes_stop_at_the_same_step(start):
  with socket.socket() as s:
    s.bind(('localhost', 0))
    address = f'localhost:{s.getsockname()[1]}'
  processes = [start(STEPS, address, str(i)) for i in range(2)]
  for process in processes:
    wait_for(process, process.stdout, 'running')
  processes[1].send_signal(signal.SIGTERM)
  outputs = [process.communicate(timeout=120) for process in processes]
  assert [process.returncode for process in processes] == [0, 0], outputs
  assert outputs[0][0] == outputs[1][0]
  stopped, again = outputs[0][0].splitlines()
  assert int(stopped.removeprefix('stopped at ')) < 99_999
  assert again == 'stopped again'
