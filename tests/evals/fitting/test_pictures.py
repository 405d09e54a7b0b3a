"""Tests pictures of predictions: what is drawn, where and in which row."""

import numpy as np
import pytest

from rvm_jax.evals.fitting import pictures
from rvm_jax.viz import colors
from rvm_jax.viz import sheets

FRAMES = np.full((3, 32, 64, 3), 90, np.uint8)


@pytest.fixture
def shown(monkeypatch):
  """Returns a dict that is filled with the rows of the picture, by caption."""
  rows = {}

  def panel_sheet(panels, times):
    rows.update(panels)
    assert list(times) == [0, 1, 2]
    return 'sheet'

  monkeypatch.setattr(sheets, 'panel_sheet', panel_sheet)
  return rows


def find_color(frame, number):
  """Returns the mean (x, y) of the pixels in a point's or box's colour.

  Returns None if no pixel has this colour.
  """
  y, x = np.nonzero((frame == colors.KINDS[number]).all(-1))
  return (x.mean(), y.mean()) if len(x) else None


def test_draw_class_names_both_classes_in_the_caption(shown):
  example = {'frames': FRAMES, 'label': np.int32(1)}
  prediction = {'probabilities': np.array([0.2, 0.3, 0.5])}
  assert pictures.draw_class(example, prediction, ['a', 'b', 'c']) == 'sheet'
  ((caption, frames),) = shown.items()
  assert caption == 'b (predicted: c)'
  assert len(frames) == 3 and frames.shape[2] == 2 * frames.shape[1]


def test_draw_points_draws_only_visible_points(shown):
  tracks = np.array([[[10, 8]] * 3, [[50, 20]] * 3], np.float32)
  visible = np.array([[True, False, True], [True] * 3])
  example = {'frames': FRAMES, 'tracks': tracks, 'visible': visible}
  prediction = {'tracks': tracks + 5, 'visible': ~visible}
  pictures.draw_points(example, prediction)
  assert list(shown) == ['ground truth', 'prediction']
  for row, arrays in zip(shown.values(), (example, prediction)):
    scale = row.shape[2] / 64
    assert scale >= 2
    for number in range(2):
      for time in range(3):
        center = find_color(row[time], number)
        if arrays['visible'][number, time]:
          expected = scale * arrays['tracks'][number, time]
          np.testing.assert_allclose(center, expected, atol=1)
        else:
          assert center is None


def test_draw_boxes_leaves_out_boxes_that_are_missing_or_inverted(shown):
  box = np.array([8, 4, 40, 28], np.float32)
  boxes = np.stack([[box] * 3, [np.full(4, np.nan)] * 3])
  example = {'frames': FRAMES, 'boxes': boxes}
  pictures.draw_boxes(example, {'boxes': boxes[..., [2, 1, 0, 3]]})
  true, predicted = shown.values()
  scale = true.shape[2] / 64
  y, x = np.nonzero((true[1] == colors.KINDS[0]).all(-1))
  np.testing.assert_allclose(
      [x.min(), y.min(), x.max(), y.max()], scale * box, atol=1
  )
  assert find_color(true[1], 1) is None
  assert find_color(predicted[1], 0) is None


def test_draw_depth_has_one_scale_and_black_for_unknown_depth(shown):
  depth = np.full((3, 32, 64), 4.0, np.float32)
  depth[:, :16] = 0
  pictures.draw_depth({'frames': FRAMES, 'depth': depth}, {'depth': depth / 2})
  true, predicted = shown['ground truth'], shown['prediction']
  assert list(shown) == ['frames', 'ground truth', 'prediction']
  assert true[0, 0].max() < 10
  np.testing.assert_array_equal(
      true[0, -1, 0], colors.paint_amounts(np.array(4.0), 4.0)
  )
  np.testing.assert_array_equal(
      predicted[0, -1, 0], colors.paint_amounts(np.array(2.0), 4.0)
  )
