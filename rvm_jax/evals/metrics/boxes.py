"""Intersection over union of boxes that are followed through a video."""

import numpy as np


def iou(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
  """Intersection over union of boxes, sides taken as lengths without a + 1.

  Args:
    true: float [..., 4], (x0, y0, x1, y1); NaN, or a side that is not above 0,
      where there is no box.
    predicted: float [..., 4], in the same units. What is not finite, or has a
      side that is not above 0, overlaps with nothing.

  Returns:
    float64 [...] in [0, 1], NaN where there is no true box.

  Raises:
    ValueError: shapes that do not fit.
  """
  if true.shape != predicted.shape or true.shape[-1:] != (4,):
    raise ValueError(
        'true and predicted must both be [..., 4], got'
        f' {true.shape} and {predicted.shape}'
    )
  true, predicted = true.astype(np.float64), predicted.astype(np.float64)
  is_true = _is_box(true)
  true = np.where(is_true[..., None], true, 0)
  predicted = np.where(_is_box(predicted)[..., None], predicted, 0)
  low = np.maximum(true[..., :2], predicted[..., :2])
  high = np.minimum(true[..., 2:], predicted[..., 2:])
  both = np.maximum(high - low, 0).prod(-1)
  either = _area(true) + _area(predicted) - both
  return np.where(is_true, both / np.where(is_true, either, 1), np.nan)


def track_iou(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
  """IoU of the boxes after frame 0, in which the objects are asked for.

  The score of a data set is the mean over all objects and frames that have a
  true box, all videos together: `np.nanmean` of these numbers.

  Args:
    true: float [O, T, 4], as for `iou`.
    predicted: float [O, T, 4].

  Returns:
    float64 [O, T - 1], NaN where there is no true box, and for objects without
    a box in frame 0.

  Raises:
    ValueError: shapes that do not fit.
  """
  if true.ndim != 3:
    raise ValueError(f'true must be [O, T, 4], got {true.shape}')
  found = iou(true, predicted)
  return np.where(_is_box(true)[:, :1], found[:, 1:], np.nan)


def _is_box(boxes):
  return (boxes[..., 2:] > boxes[..., :2]).all(-1)


def _area(boxes):
  return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
