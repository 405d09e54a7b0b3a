"""The clips per second and the share of time spent on waiting for data."""

import time

import pytest

from rvm_jax.training import stopwatch


class Clock:
  """Replaces `time.perf_counter`: time passes when a test says so."""

  def __init__(self):
    self.now = 100.0

  def __call__(self):
    return self.now

  def batches(self, seconds):
    """Yields batches, each after a number of seconds."""
    while True:
      self.now += seconds
      yield 'batch'


@pytest.fixture
def clock(monkeypatch):
  clock = Clock()
  monkeypatch.setattr(time, 'perf_counter', clock)
  return clock


def test_stopwatch_measures_waiting_apart_from_working(clock):
  watch = stopwatch.Stopwatch()
  stream = clock.batches(2)
  for _ in range(3):
    assert watch.take(stream, 8) == 'batch'
    clock.now += 6
  interval = watch.read()
  assert interval == (3, 24, 24.0, 6.0)
  assert interval.rates() == {'clips_per_second': 1.0, 'data_wait': 0.25}
  # A reading starts anew.
  watch.take(clock.batches(0), 8)
  clock.now += 2
  assert watch.read() == (1, 8, 2.0, 0.0)


def test_stopwatch_does_not_count_what_is_timed_apart(clock):
  watch = stopwatch.Stopwatch()
  watch.take(clock.batches(1), 8)
  clock.now += 3
  with watch.apart() as evaluation:
    clock.now += 500
  with pytest.raises(OSError), watch.apart() as saving:
    clock.now += 70
    raise OSError
  assert (evaluation.seconds, saving.seconds) == (500, 70)
  assert watch.read() == (1, 8, 4.0, 1.0)
  clock.now += 4
  assert watch.read().seconds == 4


def test_stopwatch_without_steps_has_no_rates(clock):
  watch = stopwatch.Stopwatch()
  clock.now += 5
  assert not watch.read().rates()
