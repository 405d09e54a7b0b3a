"""The watchdog of a run, in a run of one process."""

import subprocess
import sys
import threading
import time

import pytest

from rvm_jax.runtime import ending
from rvm_jax.runtime import links
from rvm_jax.runtime import watchdog as watchdog_lib


class FakePeers:
  """Remembers what it was told."""

  me = links.Member(3, 'a', 7)

  def __init__(self):
    self.told = []

  def fail(self, line):
    self.told.append(line)

  def tell(self, error):
    self.told.append(error)


class Clock:
  """Time that a test sets."""

  def __init__(self):
    self.now = 1000.0

  def __call__(self):
    return self.now


@pytest.fixture
def clock(monkeypatch):
  clock = Clock()
  monkeypatch.setattr(watchdog_lib.time, 'monotonic', clock)
  return clock


def make(tmp_path, limit=None):
  """Returns a watchdog whose thread does not run."""
  watchdog = watchdog_lib.Watchdog(tmp_path, FakePeers(), limit)
  watchdog._thread = threading.Thread()
  return watchdog.__enter__()


def limit_of(watchdog):
  return watchdog._activities[-1].limit


def test_limit_is_a_multiple_of_the_median_step(tmp_path, clock):
  watchdog = make(tmp_path)
  for step, seconds in enumerate([500, 30, 20, 40, 1000, 30]):
    clock.now += seconds
    watchdog.beat(step)
  # The time until the first step counts as the start and not as a step.
  assert limit_of(watchdog) == 20 * 30


def test_limit_of_short_steps_is_the_least_one(tmp_path, clock):
  watchdog = make(tmp_path)
  assert limit_of(watchdog) == 3600
  for step in range(3):
    clock.now += 0.1
    watchdog.beat(step)
  assert limit_of(watchdog) == 300


def test_limit_can_be_set(tmp_path):
  watchdog = make(tmp_path, limit=7.5)
  watchdog.beat(1)
  assert limit_of(watchdog) == 7.5


def test_what_is_allowed_has_its_own_limit_and_is_no_step(tmp_path, clock):
  watchdog = make(tmp_path, limit=7.5)
  watchdog.beat(1)
  clock.now += 2
  with watchdog.allow('evaluation'):
    assert limit_of(watchdog) == 3600
    with watchdog.allow('checkpoint'):
      clock.now += 100
    clock.now += 1000
  assert limit_of(watchdog) == 7.5
  assert watchdog._activities[-1].since == clock.now
  clock.now += 3
  watchdog.beat(2)
  assert list(watchdog._seconds) == [5]


def test_error_is_told_before_anything_is_closed(tmp_path):
  watchdog = make(tmp_path, limit=7.5)
  error = ValueError('mistake')
  with pytest.raises(ValueError, match='mistake'), watchdog.telling():
    raise error
  assert watchdog._peers.told == [error]
  assert limit_of(watchdog) == 3600


def test_hang_writes_stacks_tells_the_others_and_ends(
    tmp_path, monkeypatch, capfd
):
  monkeypatch.setattr(watchdog_lib, '_POLL_SECONDS', 0.01)
  ended, is_over = [], threading.Event()

  def end_now(code, line):
    ended.append((code, line))
    is_over.set()
    watchdog._is_closed.set()

  monkeypatch.setattr(ending, 'end_now', end_now)
  peers = FakePeers()
  with watchdog_lib.Watchdog(tmp_path, peers, 0.2) as watchdog:
    watchdog.beat(12)
    assert is_over.wait(30)
  ((code, line),) = ended
  path = tmp_path / 'hangs' / 'step_12_process_3.txt'
  assert code == 76
  assert line.startswith(
      'process 3 (host a, pid 7) hangs after step 12: next step not done after'
  )
  assert str(path) in line
  (told,) = peers.told
  assert line.endswith(told)
  # The stacks show that this thread waits in this test.
  for text in path.read_text(), capfd.readouterr().err:
    assert 'test_hang_writes_stacks_tells_the_others_and_ends' in text
  assert line in path.read_text()


def test_no_hang_while_steps_are_done(tmp_path, monkeypatch):
  monkeypatch.setattr(watchdog_lib, '_POLL_SECONDS', 0.01)
  monkeypatch.setattr(ending, 'end_now', lambda *args: pytest.fail(str(args)))
  with watchdog_lib.Watchdog(tmp_path, FakePeers(), 2.0) as watchdog:
    for step in range(5):
      time.sleep(0.05)
      watchdog.beat(step)
    with watchdog.allow('checkpoint'):
      time.sleep(0.1)
  assert not (tmp_path / 'hangs').exists()


def test_hang_in_one_process_ends_it_for_real(tmp_path):
  code = f"""
import time
from rvm_jax.runtime import processes, watchdog
with processes.connect(None, 1, 0, 10.0) as peers:
  with watchdog.Watchdog({str(tmp_path)!r}, peers, 1.0) as dog:
    dog.beat(1)
    time.sleep(1000)
"""
  done = subprocess.run(
      [sys.executable, '-c', code], capture_output=True, text=True, timeout=100
  )
  assert done.returncode == 76
  assert 'hangs after step 1: ' in done.stderr.splitlines()[-1]
  assert (tmp_path / 'hangs' / 'step_1_process_0.txt').exists()
