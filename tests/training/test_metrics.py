import time

import pytest

from rvm_jax.training import metrics


def test_stopwatch_tells_waiting_from_working():
  def slow():
    while True:
      time.sleep(0.05)
      yield 'batch'

  watch = metrics.Stopwatch()
  stream = slow()
  for _ in range(3):
    assert watch.take(stream, 8) == 'batch'
  rates = watch.read()
  assert rates['data_wait'] > 0.9
  assert 0 < rates['clips_per_second'] <= 24 / 0.15
  watch.take(iter(['batch']), 8)
  time.sleep(0.05)
  assert watch.read()['data_wait'] < 0.1


@pytest.mark.parametrize(
    'seconds, text', [(5.9, '0:00:05'), (3723, '1:02:03'), (93784, '1 d 2:03:04')]
)
def test_format_seconds(seconds, text):
  assert metrics.format_seconds(seconds) == text
