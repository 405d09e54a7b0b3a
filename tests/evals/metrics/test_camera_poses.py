"""Tests the end-point error by hand, and against points moved one by one."""

import numpy as np
import pytest
from scipy.spatial import transform

from rvm_jax.evals.metrics import camera_poses


def test_end_point_error_of_a_translation_is_its_length():
  true = np.concatenate([np.eye(3).ravel(), (0, 0, 0)])
  predicted = np.concatenate([np.eye(3).ravel(), (3, 0, 4)])
  for points in (camera_poses.points_ahead(), np.zeros((1, 3))):
    assert np.isclose(camera_poses.end_point_error(true, predicted, points), 5)


def test_end_point_error_of_a_quarter_turn_about_the_z_axis():
  true = np.concatenate([np.eye(3).ravel(), (1, 2, 3)])
  turned = np.concatenate([[0, -1, 0, 1, 0, 0, 0, 0, 1], (1, 2, 3)])
  points = np.array([(2, 0, 0), (0, 0, 5)])  # The second does not move.
  found = camera_poses.end_point_error(true, turned, points)
  np.testing.assert_allclose(found, np.sqrt(8) / 2)


def test_end_point_error_agrees_with_points_moved_one_by_one():
  rng = np.random.default_rng(0)
  points, moved, poses = camera_poses.points_ahead(), [], []
  for seed in range(2):
    rotation = transform.Rotation.random(4, rng=np.random.default_rng(seed))
    shift = rng.normal(size=(4, 3))
    moved.append([r.apply(points) + t for r, t in zip(rotation, shift)])
    matrices = rotation.as_matrix().reshape(4, 9)
    poses.append(np.concatenate([matrices, shift], -1))
  wanted = np.linalg.norm(np.subtract(*moved), axis=-1).mean(-1)
  found = camera_poses.end_point_error(*poses, points)
  np.testing.assert_allclose(found, wanted)


def test_points_ahead_span_53_degrees_at_three_depths():
  points = camera_poses.points_ahead()
  assert len(np.unique(points, axis=0)) == 27
  assert set(points[:, 2]) == {1, 2, 4}
  np.testing.assert_allclose(
      2 * np.degrees(np.arctan(points[:, :2] / points[:, 2:]).max()),
      53.13,
      atol=0.01,
  )


def test_end_point_error_refuses_shapes_that_differ():
  with pytest.raises(ValueError, match=r'got \(2, 12\) and \(12,\)'):
    camera_poses.end_point_error(np.ones((2, 12)), np.ones(12), np.ones((1, 3)))
