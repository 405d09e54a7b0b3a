"""End-point error (EPE) of predicted camera motion.

4DS reports EPE on RealEstate10K: the predicted relative pose is applied to
points, and the error is how far they land from where the true pose puts them.
Which points, and in which unit, is not published; the points here are ours.
"""

import numpy as np


def points_ahead() -> np.ndarray:
  """Returns the points to which poses are applied, in front of the camera.

  They lie on a grid of 3 x 3 rays at depths of 1, 2 and 4 metres. The outermost
  rays of the grid are 53 degrees apart, horizontally and vertically.

  Returns:
    float64 [27, 3], (x right, y down, z ahead) in metres.
  """
  depth, row, column = np.meshgrid(
      [1.0, 2.0, 4.0], [-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5], indexing='ij'
  )
  points = np.stack([column * depth, row * depth, depth], -1)
  return points.reshape(-1, 3)


def end_point_error(
    true: np.ndarray, predicted: np.ndarray, points: np.ndarray
) -> np.ndarray:
  """Computes the mean distance between points moved by two poses.

  A predicted rotation matrix is used as it is; it is not made orthogonal.

  Args:
    true: ground-truth poses, float [..., 12]. A pose is a 3 x 3 rotation R in
      row-major order, then a translation t; it moves a point p to R p + t.
    predicted: predicted poses, float [..., 12], in the same form.
    points: points to move, float [N, 3], in the unit of the translations.

  Returns:
    Mean over the points of their distances, float64 [...], in that unit.

  Raises:
    ValueError: the poses' shapes differ or do not end in 12.
  """
  if true.shape != predicted.shape or true.shape[-1:] != (12,):
    raise ValueError(
        'true and predicted must both be [..., 12], got'
        f' {true.shape} and {predicted.shape}'
    )
  # R p + t is linear in R and t. The difference of two poses therefore maps a
  # point to the difference of the places to which the poses move it.
  difference = predicted.astype(np.float64) - true
  rotation = difference[..., :9].reshape(*difference.shape[:-1], 3, 3)
  # Offsets of the N points: [..., N, 3].
  offsets = points @ rotation.swapaxes(-1, -2) + difference[..., None, 9:]
  return np.linalg.norm(offsets, axis=-1).mean(-1)
