"""The lock of a workdir: a living owner keeps it, a dead one loses it."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from rvm_jax.runtime import lock

ROOT = pathlib.Path(__file__).parents[2]
# A run that holds the lock until its input ends, or is killed.
RUN = """
import sys
from rvm_jax.runtime import lock

lock.BEAT_SECONDS = 0.1
try:
  with lock.held(sys.argv[1]):
    print('held', flush=True)
    sys.stdin.read()
except lock.Held as error:
  print('error:', error)
"""


@pytest.fixture
def start():
  """Returns a function that starts a run; kills it at the end."""
  processes = []

  def start_(workdir):
    process = subprocess.Popen(
        [sys.executable, '-c', RUN, str(workdir)],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    processes.append(process)
    return process

  yield start_
  for process in processes:
    process.kill()
    process.communicate()


@pytest.fixture
def quick(monkeypatch):
  """Sets all times to fractions of a second."""
  monkeypatch.setattr(lock, 'BEAT_SECONDS', 0.1)
  monkeypatch.setattr(lock, 'WATCH_SECONDS', 2.0)
  monkeypatch.setattr(lock, '_POLL_SECONDS', 0.05)


def move_elsewhere(workdir):
  """Makes the lock that of a process on another machine."""
  path = workdir / lock.NAME
  owner = json.loads(path.read_text()) | {'host': 'elsewhere', 'boot': 'x'}
  path.write_text(json.dumps(owner))


def test_second_run_is_refused_in_a_line_and_touches_nothing(start, tmp_path):
  first = start(tmp_path)
  assert first.stdout.readline() == 'held\n'
  (tmp_path / 'kept').touch()
  with pytest.raises(lock.Held, match=f'process {first.pid} on .*, since 2'):
    with lock.held(tmp_path):
      pass
  assert sorted(os.listdir(tmp_path)) == ['kept', lock.NAME]
  first.communicate(timeout=60)
  assert os.listdir(tmp_path) == ['kept'], 'an orderly end releases the lock'
  with lock.held(tmp_path):
    assert (tmp_path / lock.NAME).exists()


def test_lock_of_a_killed_run_is_taken_over(start, tmp_path):
  first = start(tmp_path)
  assert first.stdout.readline() == 'held\n'
  first.send_signal(signal.SIGKILL)
  first.wait()
  with lock.held(tmp_path):
    assert json.loads((tmp_path / lock.NAME).read_text())['pid'] == os.getpid()


def test_lock_of_an_old_process_with_the_same_number_is_taken_over(tmp_path):
  # This very process, as if it had been started at another time.
  with lock.held(tmp_path):
    kept = json.loads((tmp_path / lock.NAME).read_text())
  (tmp_path / lock.NAME).write_text(json.dumps(kept))
  with pytest.raises(lock.Held):
    lock.held(tmp_path).__enter__()
  (tmp_path / lock.NAME).write_text(json.dumps(kept | {'started': '1'}))
  with lock.held(tmp_path):
    pass


@pytest.mark.usefixtures('quick')
def test_lock_from_elsewhere_holds_while_its_owner_refreshes_it(
    start, tmp_path
):
  first = start(tmp_path)
  assert first.stdout.readline() == 'held\n'
  move_elsewhere(tmp_path)
  with pytest.raises(lock.Held):
    lock.held(tmp_path).__enter__()
  first.send_signal(signal.SIGKILL)
  first.wait()
  move_elsewhere(tmp_path)
  start_time = time.monotonic()
  with lock.held(tmp_path):
    assert time.monotonic() > start_time + 1.9


def test_owner_that_lost_its_lock_ends_itself(start, tmp_path):
  first = start(tmp_path)
  assert first.stdout.readline() == 'held\n'
  owner = json.loads((tmp_path / lock.NAME).read_text())
  first.send_signal(signal.SIGSTOP)
  # Another run takes the lock over, as after a long suspension.
  part = tmp_path / 'part'
  part.write_text(json.dumps(owner | {'token': 'other'}))
  part.replace(tmp_path / lock.NAME)
  first.send_signal(signal.SIGCONT)
  assert first.wait(60) == 76
  assert first.stderr.read() == (
      f'error: another run took over {tmp_path}, because this one seemed dead\n'
  )
  assert json.loads((tmp_path / lock.NAME).read_text())['token'] == 'other'


def test_one_of_many_takes_over_the_lock_of_a_dead_run(tmp_path):
  with lock.held(tmp_path):
    dead = json.loads((tmp_path / lock.NAME).read_text()) | {'started': '1'}
  (tmp_path / lock.NAME).write_text(json.dumps(dead))
  results, leave = [], threading.Event()

  def take():
    try:
      with lock.held(tmp_path):
        results.append('held')
        leave.wait(60)
    except lock.Held:
      results.append('refused')
    if results.count('refused') == 7:
      leave.set()

  threads = [threading.Thread(target=take) for _ in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert sorted(results) == ['held'] + 7 * ['refused']
  assert not list(tmp_path.iterdir())


def test_lock_works_without_hard_links(tmp_path, monkeypatch):
  def refuse(source, target):
    raise PermissionError(lock.errno.EPERM, 'no hard links')

  monkeypatch.setattr(os, 'link', refuse)
  with lock.held(tmp_path):
    with pytest.raises(lock.Held):
      lock.held(tmp_path).__enter__()
  assert not list(tmp_path.iterdir())


def test_bucket_cannot_be_locked_and_a_warning_says_so(warnings):
  with lock.held('gs://bucket/run'):
    (warning,) = warnings
  assert 'gs://bucket/run is no folder' in warning


def test_folder_that_cannot_be_written_is_an_error(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match='file'):
    lock.held(tmp_path / 'file').__enter__()
