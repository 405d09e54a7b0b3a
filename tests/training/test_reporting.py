"""What a run writes is there at once, and each step once."""

import time

import pytest

from rvm_jax.training import reporting
from tests.training import events


@pytest.mark.parametrize(
    'seconds, text',
    [(5.9, '0:00:05'), (3723, '1:02:03'), (93784, '1 d 2:03:04')],
)
def test_format_seconds(seconds, text):
  assert reporting.format_seconds(seconds) == text


def write_scalars(workdir, start, steps, value):
  """Does not close the writer: a kill does not, either."""
  writer = reporting.Writer(workdir, start, num_steps=9)
  for step in steps:
    writer.scalars(step, {'a': value, 'b': -value})


def test_steps_done_again_stand_once(tmp_path):
  write_scalars(tmp_path, 0, [0, 1, 2, 3, 4], 1.0)
  assert events.read(tmp_path)['a'] == [(s, 1.0) for s in range(5)]
  time.sleep(1.1)  # Files are named by the second.
  write_scalars(tmp_path, 2, [3, 4, 5], 2.0)
  expected = [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
  shown = events.read(tmp_path)
  assert shown['a'] == expected
  assert shown['b'] == [(step, -value) for step, value in expected]


def test_a_start_from_nothing_hides_all(tmp_path):
  write_scalars(tmp_path, 0, [0, 1, 2], 1.0)
  time.sleep(1.1)
  write_scalars(tmp_path, 0, [0, 1], 2.0)
  assert events.read(tmp_path)['a'] == [(0, 2.0), (1, 2.0)]
