"""Intersection over union (IoU) of boxes that are tracked through a video.

How RVM and 4DS score boxes on Waymo Open beyond "mean IoU" is not published.
The rules below are ours: frame 0, in which the objects are queried, is left
out, and a predicted box without area scores 0.
"""

import numpy as np


def iou(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
  """Computes the IoU of pairs of boxes.

  Coordinates are continuous: a side has the length x1 - x0, without a + 1.

  Args:
    true: ground-truth boxes, float [..., 4], as (x0, y0, x1, y1). NaN, or a
      side that is not above 0, means that there is no box.
    predicted: predicted boxes, float [..., 4], in the same units. A box that is
      not finite, or has a side that is not above 0, scores 0.

  Returns:
    float64 [...] in [0, 1], NaN where there is no ground-truth box.

  Raises:
    ValueError: the shapes differ or do not end in 4.
  """
  if true.shape != predicted.shape or true.shape[-1:] != (4,):
    raise ValueError(
        'true and predicted must both be [..., 4], got'
        f' {true.shape} and {predicted.shape}'
    )
  true, predicted = true.astype(np.float64), predicted.astype(np.float64)
  # Missing boxes become boxes of zero size, to keep NaN out of the arithmetic.
  is_true = is_box(true)
  true = np.where(is_true[..., None], true, 0)
  predicted = np.where(is_box(predicted)[..., None], predicted, 0)
  low = np.maximum(true[..., :2], predicted[..., :2])
  high = np.minimum(true[..., 2:], predicted[..., 2:])
  intersection = np.maximum(high - low, 0).prod(-1)
  union = _area(true) + _area(predicted) - intersection
  return np.where(is_true, intersection / np.where(is_true, union, 1), np.nan)


def track_iou(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
  """Computes the IoU of each object's box in each frame after frame 0.

  Objects are queried by their boxes in frame 0, so that frame is not scored.
  The score of a data set is the mean over all objects and frames that have a
  ground-truth box, of all videos together: `np.nanmean` of these numbers.

  Args:
    true: ground-truth boxes of O objects, float [O, T, 4], with missing boxes
      as in `iou`.
    predicted: predicted boxes, float [O, T, 4], in the same units.

  Returns:
    float64 [O, T - 1] in [0, 1]. NaN where there is no ground-truth box, and
    in every frame of an object that has no box in frame 0.

  Raises:
    ValueError: the shapes differ or are not [O, T, 4].
  """
  if true.ndim != 3:
    raise ValueError(f'true must be [O, T, 4], got {true.shape}')
  by_frame = iou(true, predicted)
  return np.where(is_box(true)[:, :1], by_frame[:, 1:], np.nan)


def is_box(boxes: np.ndarray) -> np.ndarray:
  """Returns which boxes exist: those with both sides above 0, without NaN.

  Args:
    boxes: float [..., 4], as (x0, y0, x1, y1). A JAX array gives a JAX array.

  Returns:
    bool [...].
  """
  return (boxes[..., 2:] > boxes[..., :2]).all(-1)


def _area(boxes):
  """Returns the areas [...] of boxes [..., 4]."""
  return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
