"""PCK, the percentage of correct keypoints, as used for JHMDB.

This follows the released RVM evaluation (after the UVC code's `eval_pck`). A
distance is measured relative to a box around the person, and a joint is scored
in the frames in which the *prediction* has it; the ground truth's visibility is
not used.
"""

import numpy as np


def distances(
    true: np.ndarray, predicted: np.ndarray, visible: np.ndarray
) -> np.ndarray:
  """Computes the distance of each predicted joint from the true one.

  The unit is 0.6 times the diagonal of the person's bounding box in the frame:
  the box of the true positions of the joints that are scored there. If only one
  joint is scored, the box has zero size and every distance is infinite, even
  that of a perfect prediction.

  Args:
    true: ground-truth positions of J joints, float [T, J, 2], as (x, y).
    predicted: predicted positions, float [T, J, 2], in the same units.
    visible: whether the prediction has the joint, bool [T, J].

  Returns:
    float64 [T, J], NaN where a joint is not visible.

  Raises:
    ValueError: the shapes do not fit together.
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
  # Unit of length in each frame, [T, 1]. A frame without any visible joint has
  # no box (high < low) and gets 0.
  is_scored = visible[..., None]
  low = np.where(is_scored, true, np.inf).min(1)
  high = np.where(is_scored, true, -np.inf).max(1)
  sides = np.where(high >= low, high - low, 0)
  unit = 0.6 * np.linalg.norm(sides, axis=-1, keepdims=True)
  error = np.linalg.norm(predicted - true, axis=-1)
  error = np.where(unit > 0, error / np.where(unit > 0, unit, 1), np.inf)
  return np.where(visible, error, np.nan)


def pck(distances: np.ndarray, threshold: float) -> np.ndarray:
  """Computes the share of each joint's distances within a threshold.

  The published score is 100 times the mean over joints. The released mean is
  NaN as soon as one joint was never visible; use `np.nanmean` to leave such a
  joint out.

  Args:
    distances: relative distances, float [N, J], as returned by `distances`,
      with the frames of all videos along the first axis; NaN is not counted.
    threshold: largest distance that is correct, in the unit of `distances`.

  Returns:
    float64 [J] in [0, 1], NaN for a joint without any distance.
  """
  count = (~np.isnan(distances)).sum(0)
  num_correct = (distances <= threshold).sum(0)
  return np.where(count > 0, num_correct / np.maximum(count, 1), np.nan)
