"""Joints on the patch grid and back, against the released evaluation."""

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
  # The released numbers are float32: 3e-5 apart at 286 pixels.
  np.testing.assert_allclose(pose, golden['pose_coords'], atol=1e-4)
  np.testing.assert_array_equal(visible, golden['pose_visible'] > 0)
  assert visible.dtype == bool and not visible.all()


def test_decode_inverts_encode_within_a_fraction_of_a_patch():
  rng = np.random.default_rng(0)
  pose = rng.uniform([40, 30], [600, 330], (15, 2))
  pose[3] = 2000, 100
  soft = joints.encode(pose, (360, 640), (18, 20))
  found, visible = joints.decode(soft[None], (360, 640))
  np.testing.assert_array_equal(visible[0], np.arange(15) != 3)
  np.testing.assert_array_equal(found[0, 3], -1)
  off = np.abs(found[0] - pose)[visible[0]] / [640 / 20, 360 / 18]
  assert 0.1 < off.max() <= 1


def test_bumps_at_the_border_are_cut_off():
  pose = np.array([[-3.0, 5.0], [4.0, 5.0], [21.0, 5.0], [19.9, -1.0]])
  soft = joints.encode(pose, (10, 20), (10, 20))
  shown = (soft[..., 1:] > 0).any(0)  # [columns, joints]
  # Truncating towards zero puts -3 - 1.5 at -4, and its bump's end at 0.
  np.testing.assert_array_equal(shown[:, 0].nonzero()[0], [])
  np.testing.assert_array_equal(shown[:, 1].nonzero()[0], [2, 3, 4, 5])
  np.testing.assert_array_equal(shown[:, 2].nonzero()[0], [19])
  np.testing.assert_array_equal(shown[:, 3].nonzero()[0], [18, 19])
  np.testing.assert_array_equal(soft[..., 0], soft[..., 1:].sum(-1) == 0)
