"""Tests the IoU of boxes by hand, and against masks on a grid of pixels."""

import numpy as np
import pytest

from rvm_jax.evals.metrics import boxes
from rvm_jax.evals.metrics import regions


def test_iou_of_hand_worked_boxes():
  true = np.array([0, 0, 4, 2])
  for predicted, wanted in (
      ((0, 0, 4, 2), 1),
      ((2, 0, 6, 2), 4 / 12),
      ((1, 0, 2, 1), 1 / 8),
      ((4, 0, 8, 2), 0),  # Shares an edge.
      ((9, 9, 10, 10), 0),
      ((4, 2, 0, 0), 0),  # Two negative sides, whose product is positive.
      ((0, 2, 4, 0), 0),
      ((0, 0, 4, 0), 0),
      ((0, 0, np.nan, 2), 0),
      ((0, 0, np.inf, 2), 0),
  ):
    assert boxes.iou(true, np.array(predicted)) == wanted, predicted
  for missing in ((np.nan,) * 4, (0, 0, 0, 2), (4, 0, 0, 2)):
    assert np.isnan(boxes.iou(np.array(missing), true)), missing


def test_iou_agrees_with_the_jaccard_index_of_masks():
  corners = np.random.default_rng(0).integers(0, 12, (2, 30, 2, 2))
  low, high = corners.min(-2), corners.max(-2) + 1
  masks = np.zeros((2, 30, 13, 13), bool)
  for index in np.ndindex(2, 30):
    (x0, y0), (x1, y1) = low[index], high[index]
    masks[index][y0:y1, x0:x1] = True
  found = boxes.iou(*np.concatenate([low, high], -1))
  assert (found > 0).any() and (found == 0).any()
  np.testing.assert_allclose(found, regions.jaccard(*masks))


def test_track_iou_leaves_out_frame_0_and_missing_boxes():
  box, missing = [0, 0, 4, 2], [np.nan] * 4
  true = np.array(
      [
          [box, box, missing, box],
          [missing, box, box, box],  # Not queried.
          [missing] * 4,
      ]
  )
  predicted = np.array([[[9, 9, 10, 10], box, box, [2, 0, 6, 2]]] * 3)
  found = boxes.track_iou(true, predicted)
  np.testing.assert_allclose(
      found, [[1, np.nan, 1 / 3], [np.nan] * 3, [np.nan] * 3]
  )
  np.testing.assert_allclose(np.nanmean(found), 2 / 3)


def test_iou_and_track_iou_refuse_wrong_shapes():
  with pytest.raises(ValueError, match=r'got \(2, 4\) and \(3, 4\)'):
    boxes.iou(np.ones((2, 4)), np.ones((3, 4)))
  with pytest.raises(ValueError, match=r'\[O, T, 4\], got \(2, 4\)'):
    boxes.track_iou(np.ones((2, 4)), np.ones((2, 4)))
