"""Tests the whole command on one's own labelled videos, and its scores."""

import os
import pathlib
import subprocess
import sys

import numpy as np

from tests.evals.benchmarks import readouts

ROOT = pathlib.Path(__file__).parents[3]


def test_command_learns_to_tell_inverted_videos_from_plain(video_set, tmp_path):
  data, out = video_set('clips'), tmp_path / 'results'
  settings = {
      'sampling.num_frames': 2,
      'sampling.height': 32,
      'sampling.width': 32,
      'head.num_params': 8,
      'head.num_heads': 2,
      'training.num_steps': 60,
      'training.batch_size': 4,
      'training.warmup_steps': 5,
      'training.learning_rates': '(1e-2,)',
  }
  done = subprocess.run(
      [
          sys.executable,
          '-m',
          'rvm_jax.evals.run',
          '--config=configs/eval_clips.py',
          f'--config.data_dir={data}',
          '--checkpoint=raw:16',
          f'--workdir={tmp_path / "work"}',
          f'--out={out}',
          *(f'--config.protocol.{k}={x}' for k, x in settings.items()),
      ],
      cwd=ROOT,
      env=os.environ | {'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
      capture_output=True,
      text=True,
  )
  assert not done.returncode, done.stderr
  result, rows = readouts.load(out)
  num_test = len(rows)
  assert f'Clips top-1: {100:.2f}' in done.stdout
  assert f'Note: test: no split is given: {num_test} of 20' in done.stdout
  readouts.check_result(out, 'Clips top-1', num_test, num_files=20)
  assert result['scores']['top_1'] == 100
  assert result['scores']['num_videos'] == num_test
  for row in rows:
    assert (
        row['video'].startswith(row['class']) and row['found'] == row['class']
    )


def test_score_has_an_interval_and_the_best_constant_prediction(
    run_benchmark, predict_with, video_set
):
  # Class 0, inverted, has three test videos, of which the second is predicted
  # wrongly. Class 1, plain, has one, which is predicted correctly.
  probabilities = iter([(0.9, 0.1), (0.2, 0.8), (0.7, 0.3), (0.4, 0.6)])
  predict_with(lambda _: {'probabilities': np.array(next(probabilities))})
  root = video_set('clips')
  for split, names in {
      'train': ('inverted/0', 'plain/0'),
      'test': ('inverted/1', 'inverted/2', 'inverted/3', 'plain/1'),
  }.items():
    for name in names:
      (root / split / name).parent.mkdir(parents=True, exist_ok=True)
      (root / f'{name}.mp4').rename(root / split / f'{name}.mp4')
  for label in ('inverted', 'plain'):
    for path in (root / label).iterdir():
      path.unlink()
  config = readouts.shrink_config('clips')
  result, rows = readouts.load(run_benchmark('clips', config))
  scores = result['scores']
  assert scores['top_1'] == 75 and scores['constant_top_1'] == 75
  assert 0 <= scores['top_1_low'] < 75 < scores['top_1_high'] <= 100
  assert scores['num_videos'] == len(rows) == 4
  assert result['notes'] == ['fitted']
