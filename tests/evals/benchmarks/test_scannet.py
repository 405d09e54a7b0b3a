"""Tests scores of depth: averages over pixels and over frames."""

import numpy as np
import pytest

from rvm_jax.evals.benchmarks import scannet
from tests.evals.benchmarks import readouts

NAME, TITLE = 'scannet', 'ScanNet AbsRel'


def test_run_writes_a_whole_result(run_benchmark, fast_compile):
  out = run_benchmark(NAME)
  # The clips of a scan have ten different frames, each with two pictures.
  readouts.check_result(out, TITLE, num_rows=4, num_files=2 + 2 * 2 * 10)


def test_shipped_head_fits_the_examples(run_benchmark, predict_with):
  settings = predict_with(lambda example: example)
  config = readouts.load_config(NAME)
  config.protocol.sampling.frame_rate = 30.0  # The videos are short.
  run_benchmark(NAME, config)
  readouts.check_head(settings, 18_100_000)


def test_an_error_of_10_percent_everywhere_scores_a_tenth(
    run_benchmark, predict_with
):
  settings = predict_with(lambda example: {'depth': 1.1 * example['depth']})
  result, rows = readouts.load(run_benchmark(NAME))
  scores = result['scores']
  assert result['lower_is_better']
  assert {row['delta_1'] for row in rows} == {'100.0'}  # In % as the scores.
  assert scores['abs_rel'] == pytest.approx(0.1, rel=1e-5)
  assert scores['abs_rel_by_frame'] == pytest.approx(0.1, rel=1e-5)
  assert scores['delta_1'] == 100 and scores['num_frames'] == 16
  assert tuple(settings['head'].patch) == (2, 16, 16)


def test_a_wrong_frame_has_the_weight_of_its_pixels_or_of_one_frame(
    run_benchmark, predict_with
):
  depths = []

  def predict(example):
    # In the first frame of the first clip, half of the depth is known, and the
    # predictions are twice the true depth.
    factor = np.ones((4, 1, 1), np.float32)
    if not depths:
      example['depth'][0, :, 16:] = 0
      factor[0] = 2
    depths.append(example['depth'])
    return {'depth': example['depth'] * factor}

  predict_with(predict)
  scores = readouts.load(run_benchmark(NAME))[0]['scores']
  known = np.stack(depths) > 0
  share = known[0, 0].sum() / known.sum()
  assert scores['abs_rel'] == pytest.approx(share)
  assert scores['abs_rel_by_frame'] == pytest.approx(1 / 16)
  assert scores['delta_1'] == pytest.approx(100 * (1 - share))


def test_clips_without_any_known_depth_are_refused():
  row = {'abs_rel': np.nan, 'delta_1': np.nan, 'num_pixels': 0}
  with pytest.raises(ValueError, match='no pixel of any clip has a known'):
    scannet.TASK.metric.summarise([row])
