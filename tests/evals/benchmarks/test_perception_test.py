"""Tests scores of tracked points: baseline, padding, and mean over clips."""

import numpy as np
import pytest

from tests.evals.benchmarks import readouts

NAME, TITLE = 'perception_test', 'Perception Test AJ'


def test_run_writes_a_whole_result(run_benchmark, fast_compile):
  out = run_benchmark(NAME)
  readouts.check_result(out, TITLE, num_rows=4, num_files=2 * 2)


def test_shipped_head_fits_the_examples(run_benchmark, predict_with):
  settings = predict_with(lambda example: example)
  run_benchmark(NAME, readouts.load_config(NAME))
  readouts.check_head(settings, 12_400_000)


def test_true_points_score_100_and_static_points_the_baseline(
    run_benchmark, predict_with
):
  settings = predict_with(lambda example: example)
  result, rows = readouts.load(run_benchmark(NAME))
  scores = result['scores']
  assert not result['lower_is_better']
  assert scores['average_jaccard'] == scores['occlusion_accuracy'] == 100
  # Points move by 3 pixels of 256 in a frame of the video. Static points stay
  # within the thresholds in some frames only.
  assert 0 < scores['static_average_jaccard'] < 100
  assert [row['num_points'] for row in rows] == ['3', '3', '2', '3']
  assert scores['num_points'] == 11 and scores['num_clips'] == 4
  head = settings['head']
  assert (head.height, head.width) == (32, 32)
  predict_with(
      lambda e: e
      | {
          'tracks': np.broadcast_to(e['tracks'][:, :1], e['tracks'].shape),
          'visible': np.ones_like(e['visible']),
      }
  )
  static, _ = readouts.load(run_benchmark(NAME))
  assert static['scores']['average_jaccard'] == pytest.approx(
      scores['static_average_jaccard']
  )


def test_predictions_for_padding_do_not_count(run_benchmark, predict_with):
  predict_with(lambda example: example)
  expected, _ = readouts.load(run_benchmark(NAME))
  predict_with(
      lambda e: e
      | {
          'visible': e['visible'] | ~e['is_valid'][:, None],
          'tracks': np.where(e['is_valid'][:, None, None], e['tracks'], 7),
      }
  )
  result, _ = readouts.load(run_benchmark(NAME))
  assert result['scores'] == expected['scores']
