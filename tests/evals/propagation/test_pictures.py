"""Tests which videos get a picture, and what the pictures show."""

import numpy as np

from rvm_jax.evals.propagation import pictures
from rvm_jax.viz import colors
from rvm_jax.viz import sheets


def test_choose_shown_spreads_four_videos_from_first_to_last():
  assert pictures.choose_shown(1) == {0}
  assert pictures.choose_shown(3) == {0, 1, 2}
  assert pictures.choose_shown(30) == {0, 10, 19, 29}


def test_draw_masks_resizes_masks_to_the_size_of_the_frames(monkeypatch):
  rows = {}
  monkeypatch.setattr(
      sheets,
      'mask_sheet',
      lambda frames, masks: rows.update(masks, frames=frames),
  )
  coarse = np.random.default_rng(0).integers(0, 200, (2, 8, 16), np.uint8)
  masks = np.kron(coarse, np.ones((64, 64), np.uint8))
  pictures.draw_masks(np.zeros((*masks.shape, 3), np.uint8), masks, 0 * masks)
  assert rows['frames'].shape == (2, 128, 256, 3)
  expected = np.kron(coarse, np.ones((16, 16), np.uint8))
  np.testing.assert_array_equal(rows['ground truth'], expected)
  np.testing.assert_array_equal(rows['prediction'], 0 * expected)


def test_draw_joints_puts_a_dot_on_each_joint_inside_the_frame(monkeypatch):
  rows = {}
  monkeypatch.setattr(
      sheets, 'panel_sheet', lambda panels, times: rows.update(panels)
  )
  frames = np.zeros((1, 512, 512, 3), np.uint8)  # Shown at half the size.
  ground_truth = np.array([[[100.0, 400.0], [300.0, 60.0], [-5.0, 100.0]]])
  prediction = np.array([[[-1.0, -1.0], [300.0, 60.0], [200.0, 100.0]]])
  pictures.draw_joints(frames, ground_truth, prediction)
  for name, poses in ('ground truth', ground_truth), ('prediction', prediction):
    (image,) = rows[name]
    for joint, (x, y) in enumerate(poses[0] / 2):
      if x >= 0:
        np.testing.assert_array_equal(
            image[int(y), int(x)], colors.KINDS[joint]
        )
    assert not image[0].any() and not image[:, 0].any()
