"""PCK: the percentage of correct keypoints, as for JHMDB.

In the form of the released RVM evaluation: a joint is scored where the
prediction has it, and lengths are in units of a box around the person.
"""

import numpy as np


def distances(
    true: np.ndarray, predicted: np.ndarray, visible: np.ndarray
) -> np.ndarray:
  """How far joints are off, by 0.6 times the diagonal of the person's box.

  The box holds the true places of the joints that are visible in the frame. Of
  no size, because one joint alone is visible, it makes every miss infinite.

  Args:
    true: float [T, J, 2], (x, y).
    predicted: float [T, J, 2], in the same units.
    visible: bool [T, J], whether the prediction has the joint.

  Returns:
    float64 [T, J], NaN where a joint is not visible.

  Raises:
    ValueError: shapes that do not fit.
  """
  if (
      true.ndim != 3
      or true.shape[-1] != 2
      or predicted.shape != true.shape
      or visible.shape != true.shape[:2]
  ):
    raise ValueError(
        'true, predicted and visible must be [T, J, 2], [T, J, 2] and [T, J],'
        f' got {true.shape}, {predicted.shape} and {visible.shape}'
    )
  seen = visible[..., None]
  low = np.where(seen, true, np.inf).min(1)
  high = np.where(seen, true, -np.inf).max(1)
  sides = np.where(high >= low, high - low, 0)
  box = 0.6 * np.linalg.norm(sides, axis=-1, keepdims=True)
  off = np.linalg.norm(predicted - true, axis=-1)
  off = np.where(box > 0, off / np.where(box > 0, box, 1), np.inf)
  return np.where(visible, off, np.nan)


def pck(distances: np.ndarray, threshold: float) -> np.ndarray:
  """The share of samples within a threshold, for each joint.

  Args:
    distances: float [N, J], NaN where there is no sample.
    threshold: in the units of `distances`.

  Returns:
    float64 [J] in [0, 1], NaN for a joint without any sample.
  """
  counted = ~np.isnan(distances)
  number = counted.sum(0)
  right = (distances <= threshold).sum(0)
  return np.where(number > 0, right / np.maximum(number, 1), np.nan)
