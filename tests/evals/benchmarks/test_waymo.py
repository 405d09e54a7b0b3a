"""Tests scores of tracked boxes: baseline, weights, inverted boxes."""

import numpy as np
import pytest

from rvm_jax.evals.benchmarks import waymo
from tests.evals.benchmarks import readouts

NAME, TITLE = 'waymo', 'Waymo mean IoU'


def test_run_writes_a_whole_result(run_benchmark, fast_compile):
  out = run_benchmark(NAME)
  readouts.check_result(out, TITLE, num_rows=6, num_files=2 * 2)


def test_shipped_head_fits_the_examples(run_benchmark, predict_with):
  settings = predict_with(lambda example: example)
  config = readouts.load_config(NAME)
  config.protocol.sampling.frame_rate = 10.0  # The videos are short.
  run_benchmark(NAME, config)
  readouts.check_head(settings, 12_500_000)


def test_every_box_has_the_same_weight(run_benchmark, predict_with):
  settings = predict_with(lambda example: example)
  config = readouts.shrink_config(NAME)
  config.protocol.test.min_presence = 0.0
  result, rows = readouts.load(run_benchmark(NAME, config))
  assert not result['lower_is_better']
  assert result['scores']['mean_iou'] == 100
  assert settings['examples']['train']['train']['num_objects'] == 25
  counts = [int(row['num_boxes']) for row in rows]
  # A clip has three scored frames of two objects. In the last two clips, which
  # start in frames 14 and 17, one object leaves.
  assert counts == [6, 6, 6, 6, 4, 3]
  assert {row['num_objects'] for row in rows} == {'2'}
  assert result['scores']['num_boxes'] == sum(counts)
  static = [float(row['static_mean_iou']) for row in rows]
  assert result['scores']['static_mean_iou'] == pytest.approx(
      np.average(static, weights=counts)
  )
  assert 0 < min(static) and max(static) < 100


def test_boxes_of_negative_width_score_0(run_benchmark, predict_with):
  predict_with(lambda e: {'boxes': e['boxes'][..., [2, 1, 0, 3]]})
  result, _ = readouts.load(run_benchmark(NAME))
  assert result['scores']['mean_iou'] == 0


def test_clips_without_a_later_box_do_not_count():
  summarise = waymo.TASK.metric.summarise
  empty = {'num_boxes': 0, 'mean_iou': np.nan, 'static_mean_iou': np.nan}
  full = {'num_boxes': 3, 'mean_iou': 60.0, 'static_mean_iou': 20.0}
  assert summarise([empty, full]) == full
  with pytest.raises(ValueError, match='no object has a box after the first'):
    summarise([empty])
