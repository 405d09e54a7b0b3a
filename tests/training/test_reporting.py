"""Scalars are on disk at once, and TensorBoard shows each step once."""

import time

import pytest

from rvm_jax.training import reporting
from tests.training import events


@pytest.mark.parametrize(
    'seconds, text',
    [(5.9, '0:00:05'), (3723, '1:02:03'), (93784, '1 d 2:03:04')],
)
def test_format_seconds_shows_days_hours_minutes_and_seconds(seconds, text):
  assert reporting.format_seconds(seconds) == text


def write_scalars(workdir, start, steps, value):
  """Writes scalars and leaves the writer open, as a kill does."""
  writer = reporting.Writer(workdir, start, num_steps=9)
  for step in steps:
    writer.scalars(step, {'a': value, 'b': -value})


def test_writer_replaces_scalars_of_steps_that_are_done_again(tmp_path):
  write_scalars(tmp_path, 0, [0, 1, 2, 3, 4], 1.0)
  assert events.read(tmp_path)['a'] == [(s, 1.0) for s in range(5)]
  # Files are named by the second.
  time.sleep(1.1)
  write_scalars(tmp_path, 2, [3, 4, 5], 2.0)
  expected = [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
  shown = events.read(tmp_path)
  assert shown['a'] == expected
  assert shown['b'] == [(step, -value) for step, value in expected]


def test_writer_of_a_fresh_start_replaces_all_scalars(tmp_path):
  write_scalars(tmp_path, 0, [0, 1, 2], 1.0)
  time.sleep(1.1)
  write_scalars(tmp_path, 0, [0, 1], 2.0)
  assert events.read(tmp_path)['a'] == [(0, 2.0), (1, 2.0)]
