"""Tests PCK against the released evaluation, and by hand."""

import pathlib

import numpy as np
import pytest

from rvm_jax.evals.metrics import keypoints

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'


def test_pck_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  distances = keypoints.distances(
      golden['pose'][1:],
      golden['pose_coords'][1:],
      golden['pose_visible'][1:] > 0,
  )
  found = [100 * keypoints.pck(distances, t) for t in (0.1, 0.2, 0.3, 0.4, 0.5)]
  assert np.isnan(golden['pck']).any()
  np.testing.assert_allclose(found, golden['pck'], atol=1e-6)


def test_distances_and_pck_of_hand_worked_poses():
  true = np.array([[(0, 0), (30, 40), (500, 500)], [(9, 9), (9, 9), (5, 5)]])
  predicted = true + np.array([[(0, 3), (15, 0), (0, 0)], [(0, 0)] * 3])
  visible = np.array([[True, True, False], [False, False, True]])
  distances = keypoints.distances(true, predicted, visible)
  # Frame 0: the 30 x 40 box has a diagonal of 50, so the unit is 30 pixels.
  # Frame 1: a single joint has a box of zero size, and even a perfect
  # prediction is infinitely far.
  np.testing.assert_allclose(
      distances, [[0.1, 0.5, np.nan], [np.nan, np.nan, np.inf]]
  )
  np.testing.assert_allclose(keypoints.pck(distances, 0.1), [1, 0, 0])
  np.testing.assert_allclose(keypoints.pck(distances, 0.5), [1, 1, 0])
  np.testing.assert_allclose(keypoints.pck(distances[:1], 0.5), [1, 1, np.nan])


def test_distances_are_nan_in_a_frame_without_visible_joints():
  hidden = np.zeros((2, 3), bool)
  points = np.ones((2, 3, 2))
  assert np.isnan(keypoints.distances(points, points, hidden)).all()


def test_distances_refuse_shapes_that_do_not_fit():
  points, visible = np.ones((4, 3, 2)), np.ones((4, 3), bool)
  for wrong in (
      (points, points[:3], visible),
      (points, points, visible[:3]),
      (points[..., :1], points[..., :1], visible),
  ):
    with pytest.raises(ValueError, match=r'\[T, J\], got \(4, 3, '):
      keypoints.distances(*wrong)
