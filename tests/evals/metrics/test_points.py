"""Tests TAP-Vid scores against the public implementation, and by hand."""

import pathlib

import numpy as np
import pytest

from rvm_jax.evals.metrics import points

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/point_metrics.npz'


def score(true, visible, predicted, predicted_visible, **fields):
  fields = (
      dict(
          query_frames=np.zeros(len(true), int),
          height=256,
          width=256,
          query_mode='first',
      )
      | fields
  )
  return points.score(true, visible, predicted, predicted_visible, **fields)


@pytest.mark.parametrize('query_mode', ['first', 'strided'])
def test_score_agrees_with_tap_vid(query_mode):
  golden = np.load(GOLDEN)
  found = [
      score(
          golden['true_tracks_xy'][video],
          ~golden['true_occluded'][video],
          golden['pred_tracks_xy'][video],
          ~golden['pred_occluded'][video],
          query_frames=golden['query_points_tyx'][video, :, 0].astype(int),
          query_mode=query_mode,
      )
      for video in range(2)
  ]
  wanted = {
      key.split('/')[1]: value
      for key, value in golden.items()
      if key.startswith(query_mode)
  }
  assert found[0].keys() == wanted.keys()
  for key, values in wanted.items():
    np.testing.assert_allclose(
        [video[key] for video in found], values, atol=1e-12, err_msg=key
    )
    np.testing.assert_allclose(points.average(found)[key], values.mean())


def test_score_of_a_hand_worked_track():
  true = np.zeros((1, 5, 2))
  visible = np.array([[True, True, True, True, False]])
  # The prediction is far off in frame 0, the query frame, which is not scored.
  # With 128 rows and 512 columns, a pixel along y counts as 2 and one along x
  # as 0.5.
  predicted = np.array([[(99, 99), (0, 1), (6, 0), (0, 0), (0, 0)]])
  claimed = np.array([[False, True, True, False, True]])
  found = score(true, visible, predicted, claimed, height=128, width=512)
  # In frames 1 to 3 the point is visible, at distances of 2, 3 and 0. It is
  # predicted visible in frames 1, 2 and 4: frame 3 is missed, and frame 4 is a
  # false positive.
  assert found['occlusion_accuracy'] == 2 / 4
  shares = [found[f'pts_within_{t}'] for t in points.THRESHOLDS]
  np.testing.assert_allclose(shares, [1 / 3, 1 / 3, 1, 1, 1])
  jaccards = [found[f'jaccard_{t}'] for t in points.THRESHOLDS]
  np.testing.assert_allclose(jaccards, [0, 0, 2 / 4, 2 / 4, 2 / 4])
  np.testing.assert_allclose(found['average_jaccard'], 0.3)
  np.testing.assert_allclose(
      found['average_pts_within_thresh'], (1 / 3 + 1 / 3 + 3) / 5
  )


def test_perfect_tracks_score_1_whatever_hidden_positions_are():
  true = np.random.default_rng(0).uniform(0, 256, (3, 6, 2))
  visible = np.arange(18).reshape(3, 6) % 3 > 0
  predicted = np.where(visible[..., None], true, np.nan)
  found = score(true, visible, predicted, visible)
  assert set(found.values()) == {1.0}


def test_average_leaves_out_videos_whose_score_is_nan():
  true, hidden = np.zeros((1, 4, 2)), np.zeros((1, 4), bool)
  empty = score(true, hidden, true, hidden)
  assert empty['occlusion_accuracy'] == 1
  assert np.isnan(empty['average_jaccard'])
  assert np.isnan(empty['average_pts_within_thresh'])
  claimed = score(true, hidden, true, ~hidden)
  assert claimed['average_jaccard'] == 0, 'only false positives'
  found = points.average([empty, score(true, ~hidden, true, ~hidden)])
  assert found['average_jaccard'] == 1
  assert np.isnan(points.average([empty])['average_jaccard'])


def test_score_refuses_wrong_shapes_query_frames_and_modes():
  true, visible = np.zeros((2, 4, 2)), np.ones((2, 4), bool)
  with pytest.raises(ValueError, match=r'predicted must be \(2, 4, 2\), got'):
    score(true, visible, true[:1], visible)
  with pytest.raises(ValueError, match=r'query_frames must be in 0\.\.3, got'):
    score(true, visible, true, visible, query_frames=np.array([0, 4]))
  with pytest.raises(ValueError, match="'first' or 'strided', got 'last'"):
    score(true, visible, true, visible, query_mode='last')
