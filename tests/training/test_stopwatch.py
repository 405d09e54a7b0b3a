"""The share of time spent on waiting for data."""

import time

from rvm_jax.training import stopwatch


def test_stopwatch_measures_waiting_apart_from_working():
  def slow():
    while True:
      time.sleep(0.05)
      yield 'batch'

  watch = stopwatch.Stopwatch()
  stream = slow()
  for _ in range(3):
    assert watch.take(stream, 8) == 'batch'
  rates = watch.read()
  assert rates['data_wait'] > 0.9
  assert 0 < rates['clips_per_second'] <= 24 / 0.15
  watch.take(iter(['batch']), 8)
  time.sleep(0.05)
  assert watch.read()['data_wait'] < 0.1
