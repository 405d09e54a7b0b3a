"""Scalars are on disk at once, and each step is shown once."""

import errno
import os
import time

from absl import logging
import numpy as np
from PIL import Image
import pytest

from rvm_jax.storage import files
from rvm_jax.storage import json_lines
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


def test_metrics_lines_hold_each_step_once(tmp_path):
  write_scalars(tmp_path, 0, [0, 1, 2, 3, 4], 1.0)
  write_scalars(tmp_path, 2, [3, 4, 5], 2.0)
  lines = json_lines.read(tmp_path / 'metrics.jsonl')
  shown = [(line['step'], line['a'], line['b']) for line in lines]
  assert shown == [(s, 1.0 + (s > 2), -1.0 - (s > 2)) for s in range(6)]
  assert all(abs(line['time'] - time.time()) < 600 for line in lines)
  # A fresh start removes everything.
  write_scalars(tmp_path, 0, [0], 3.0)
  (line,) = json_lines.read(tmp_path / 'metrics.jsonl')
  assert line['a'] == 3.0


def test_metrics_that_are_not_finite_are_null(tmp_path):
  writer = reporting.Writer(tmp_path, 0, num_steps=9)
  writer.scalars(1, {'a': float('nan'), 'b': np.float32(0.5), 'c': np.inf})
  (line,) = json_lines.read(tmp_path / 'metrics.jsonl')
  assert (line['a'], line['b'], line['c']) == (None, 0.5, None)
  assert events.read(tmp_path)['c'] == [(1, np.inf)]


def logged(monkeypatch, workdir, **scalars):
  """Returns the progress line of step 50 of 100, with 8 clips each."""
  lines = []
  monkeypatch.setattr(
      logging, 'info', lambda text, *values: lines.append(text % values)
  )
  reporting.Writer(workdir, 0, num_steps=100).progress(50, scalars, 8)
  (line,) = lines
  return line


def test_progress_line_tells_the_time_left(monkeypatch, tmp_path):
  line = logged(
      monkeypatch, tmp_path, loss=0.5, clips_per_second=4.0, data_wait=0.25
  )
  assert line == (
      'step 50/100  loss 0.50000  4.0 clips/s  waiting for data 25 %'
      '  0:01:40 left'
  )


def test_progress_line_shows_the_utilisation_where_it_is_known(
    monkeypatch, tmp_path
):
  line = logged(
      monkeypatch,
      tmp_path,
      loss=0.5,
      clips_per_second=4.0,
      data_wait=0.0,
      mfu=0.3141,
  )
  assert '  4.0 clips/s  MFU 31.4 %  waiting for data 0 %' in line
  assert events.read(tmp_path)['train/mfu'] == [(50, pytest.approx(0.3141))]


def test_progress_line_says_nothing_about_time_without_a_rate(
    monkeypatch, tmp_path
):
  line = logged(monkeypatch, tmp_path, loss=0.5)
  assert line == 'step 50/100  loss 0.50000'


def test_full_disk_costs_a_warning_each_and_not_the_run(
    monkeypatch, tmp_path, caplog
):
  writer = reporting.Writer(tmp_path, 0, num_steps=9)
  picture = np.zeros((4, 4, 3), np.uint8)

  def fail(path, data):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

  with monkeypatch.context() as patch:
    patch.setattr(files, 'append_whole', fail)
    for step in (1, 2):
      writer.scalars(step, {'a': 1.0})
      writer.pictures(step, {'b': picture})
    # A run may also be started on a full disk.
    other = reporting.Writer(tmp_path / 'other', 0, num_steps=9)
    other.scalars(1, {'a': 1.0})
  for name in ('metrics.jsonl', 'events.out.tfevents.', 'pictures'):
    assert caplog.text.count(f'{tmp_path}/{name}') == 1
  assert caplog.text.count('No space left on device') == 5
  writer.scalars(3, {'a': 3.0})
  writer.pictures(3, {'b': picture})
  assert events.read(tmp_path)['a'] == [(3, 3.0)]
  (line,) = json_lines.read(tmp_path / 'metrics.jsonl')
  assert line['step'] == 3
  with Image.open(tmp_path / 'pictures' / 'b_0000003.png') as image:
    assert image.size == (4, 4)


def test_picture_of_a_step_that_is_done_again_is_replaced(tmp_path):
  writer = reporting.Writer(tmp_path, 0, num_steps=9)
  writer.pictures(1, {'b': np.zeros((40, 40, 3), np.uint8)})
  writer.pictures(1, {'b': np.full((4, 4, 3), 7, np.uint8)})
  with Image.open(tmp_path / 'pictures' / 'b_0000001.png') as image:
    assert np.asarray(image).tolist() == np.full((4, 4, 3), 7).tolist()
