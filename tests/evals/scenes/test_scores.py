"""Tests scores of true, baseline and handmade predictions on scenes."""

import numpy as np
import pytest

from rvm_jax.evals.scenes import scores
from tests.evals.scenes import small_clips

BASELINE = {'depth': np.full((32, 48), 2.0), 'pose': np.zeros(12)}


@pytest.fixture(scope='module')
def example():
  return small_clips.generate('held_out', 1)[0].example


def repeat_first_frame(example):
  """Predicts that points and boxes stay where they are."""
  return {
      'tracks': example['tracks'][:, :1].repeat(4, 1),
      'visible': np.ones((6, 4), bool),
      'visible_probability': np.ones((6, 4)),
      'boxes': example['boxes'][:, :1].repeat(4, 1),
  }


@pytest.mark.parametrize('label', [2, 3])
def test_motion_is_right_if_it_is_the_most_probable(label):
  for weights, top1, direction in (
      ({label: 0.9}, 100, 100),
      ({label ^ 1: 0.9, label: 0.1}, 0, 0),
      ({(label + 2) % 8: 0.9, label: 0.1}, 0, 100),
  ):
    probabilities = np.zeros(8)
    probabilities[list(weights)] = list(weights.values())
    example = {'label': np.int32(label)}
    row = scores.score_motion(example, {'probabilities': probabilities})
    assert row == {
        'motion_top1': top1,
        'motion_top1_floor': 12.5,
        'motion_direction': direction,
        'motion_direction_floor': 50,
    }


def test_true_tracks_score_100_and_still_ones_equal_the_baseline(example):
  probability = {'visible_probability': example['visible'].astype(float)}
  row = scores.score_points(example, example | probability)
  assert row['points_aj'] == row['points_occlusion'] == 100
  assert row['points_aj_floor'] < 100
  row = scores.score_points(example, repeat_first_frame(example))
  for name in ('aj', 'position', 'occlusion'):
    assert row[f'points_{name}'] == row[f'points_{name}_floor']


def test_tracks_are_scored_in_pixels_of_the_frames_as_they_are():
  tracks = np.zeros((1, 3, 2))
  visible = np.ones((1, 3), bool)
  prediction = {
      # 3 pixels off: within three of the five thresholds, 4, 8 and 16.
      'tracks': tracks + [0, 3],
      'visible': visible,
      'visible_probability': visible + 0.0,
  }
  example = {'tracks': tracks, 'visible': visible}
  row = scores.score_points(example, prediction)
  assert row['points_position'] == pytest.approx(100 * 3 / 5)


def test_hidden_points_are_ranked_within_frames():
  visible = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 1]], bool)
  example = {'visible': visible, 'tracks': np.zeros((4, 3, 2))}

  def score(probability):
    prediction = example | {'visible_probability': probability}
    return scores.score_points(example, prediction)['points_hidden']

  assert score(visible + 0.0) == 100 and score(1 - visible) == 0
  # It does not help to rank frames instead of points.
  assert score(-np.arange(3.0)[None].repeat(4, 0)) == 50
  # Frame 1: points 0 and 2 are visible, 1 and 3 hidden; three pairs of four are
  # right. Frame 2: 2 and 3 are visible; three pairs are right and one is a tie.
  probability = np.array(
      [[9, 0.9, 0.4], [9, 0.5, 0.2], [9, 0.3, 0.4], [9, 0.1, 1]]
  )
  assert score(probability) == pytest.approx(100 * (3 + 3.5) / 8)
  example['visible'] = np.ones((4, 3), bool)
  assert np.isnan(score(probability))


def test_true_boxes_score_100_and_still_ones_equal_the_baseline(example):
  row = scores.score_boxes(example, repeat_first_frame(example))
  assert row['boxes_iou'] == row['boxes_iou_floor'] < 100
  row = scores.score_boxes(example, example)
  assert row['boxes_iou'] == pytest.approx(100)
  assert row['num_boxes'] == np.isfinite(example['boxes'][:, 1:, 0]).sum() > 0


def test_true_depth_has_no_error_and_the_baseline_has_one(example):
  row = scores.score_depth(BASELINE, example, example)
  assert row['depth_abs_rel'] == 0 < row['depth_abs_rel_floor']
  assert row['depth_delta_1'] == 100 > row['depth_delta_1_floor']
  row = scores.score_depth(BASELINE, example, {'depth': 1.1 * example['depth']})
  assert row['depth_abs_rel'] == pytest.approx(10, rel=1e-4)


def test_a_camera_moved_by_25_cm_has_an_error_of_25(example):
  moved = {'pose': example['pose'] + np.eye(12)[10] / 4}
  row = scores.score_pose(BASELINE, example, moved)
  assert row['pose_epe'] == pytest.approx(25, rel=1e-5)
  row = scores.score_pose(BASELINE, example, BASELINE)
  assert row['pose_epe'] == row['pose_epe_floor'] > 0


def test_true_masks_score_100_and_the_ceiling_is_below(example):
  masks = example['segments']
  row = scores.score_masks(masks, masks, 8)
  assert row['masks_j'] == row['masks_f'] == row['masks_j_and_f'] == 100
  assert row['masks_j_and_f_floor'] < row['masks_j_and_f_ceiling'] < 100
  # Patches of one pixel do not change masks.
  row = scores.score_masks(masks, masks, 1)
  assert row['masks_j_and_f_ceiling'] == 100


def test_masks_that_stay_score_100_at_full_resolution_if_nothing_moves(example):
  masks = example['segments'][:1].repeat(3, 0)
  row = scores.score_masks(masks, 0 * masks, 8)
  assert row['masks_j_stay'] == row['masks_f_stay'] == 100
  assert row['masks_j_and_f_stay'] == 100 > row['masks_j_and_f_floor']
  row = scores.score_masks(example['segments'], 0 * example['segments'], 8)
  assert row['masks_j_and_f_stay'] < 100


def test_a_scene_without_objects_has_no_scores_of_boxes_and_masks(example):
  boxes = {'boxes': np.full((8, 4, 4), np.nan)}
  row = scores.score_boxes(boxes, boxes)
  assert row['num_boxes'] == 0
  assert np.isnan(row['boxes_iou']) and np.isnan(row['boxes_iou_floor'])
  nothing = np.zeros_like(example['segments'])
  row = scores.score_masks(nothing, nothing, 8)
  assert row['num_objects'] == 0 and np.isnan(row['masks_j_and_f'])


def test_the_baseline_is_the_mean_of_known_log_depths_and_of_poses():
  depths = [np.full((2, 1, 2), 2.0), np.full((2, 1, 2), 8.0)]
  depths[0][:, 0, 1] = 0  # The sky, in one clip ...
  depths[1][0, 0, 1] = 0  # ... and in one frame of the other.
  examples = [
      (str(i), {'depth': depth, 'pose': np.full(12, float(i))})
      for i, depth in enumerate(depths)
  ]
  baseline = scores.fit_baseline(examples)
  np.testing.assert_allclose(baseline['depth'], [[4, 8]])
  np.testing.assert_allclose(baseline['pose'], np.full(12, 0.5))
