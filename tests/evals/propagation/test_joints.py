"""Tests converting joints to soft labels and back."""

import pathlib

import numpy as np

from rvm_jax.evals.propagation import joints

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden/label_propagation.npz'
SHAPE = (230, 310)


def test_encode_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  soft = joints.encode(golden['pose'][0], SHAPE, (15, 20))
  assert soft.dtype == np.float32
  np.testing.assert_array_equal(soft, golden['pose_heatmap'])


def test_decode_agrees_with_the_released_evaluation():
  golden = np.load(GOLDEN)
  pose, visible = joints.decode(golden['pose_propagated'], SHAPE)
  # The released coordinates are float32, whose spacing at 286 is 3e-5.
  np.testing.assert_allclose(pose, golden['pose_coords'], atol=1e-4)
  np.testing.assert_array_equal(visible, golden['pose_visible'] > 0)
  assert visible.dtype == bool and not visible.all()


def test_decode_finds_encoded_joints_within_one_patch():
  rng = np.random.default_rng(0)
  pose = rng.uniform([40, 30], [600, 330], (15, 2))
  pose[3] = 2000, 100  # Outside the frame.
  soft = joints.encode(pose, (360, 640), (18, 20))
  found, visible = joints.decode(soft[None], (360, 640))
  np.testing.assert_array_equal(visible[0], np.arange(15) != 3)
  np.testing.assert_array_equal(found[0, 3], -1)
  errors = np.abs(found[0] - pose)[visible[0]] / [640 / 20, 360 / 18]
  assert 0.1 < errors.max() <= 1


def test_encode_cuts_bumps_off_at_the_border():
  pose = np.array([[-3.0, 5.0], [4.0, 5.0], [21.0, 5.0], [19.9, -1.0]])
  soft = joints.encode(pose, (10, 20), (10, 20))
  columns = [
      (soft[..., channel] > 0).any(0).nonzero()[0].tolist()
      for channel in range(1, 5)
  ]
  # The bump around x = -3 begins at -4.5, which is rounded to -4, so that all
  # four of its columns are left of column 0.
  assert columns == [[], [2, 3, 4, 5], [19], [18, 19]]
  np.testing.assert_array_equal(soft[..., 0], soft[..., 1:].sum(-1) == 0)
