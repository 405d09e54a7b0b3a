"""End-point error of the motion of a camera."""

import numpy as np


def points_ahead() -> np.ndarray:
  """The points that are moved, in metres: x right, y down, z ahead.

  Which ones the papers move is not known. Ours are the 27 on a grid of 3 x 3
  rays, 53 degrees from the first to the last, at 1, 2 and 4 metres.

  Returns:
    float64 [27, 3].
  """
  depth, row, column = np.meshgrid(
      [1.0, 2.0, 4.0], [-0.5, 0.0, 0.5], [-0.5, 0.0, 0.5], indexing='ij'
  )
  points = np.stack([column * depth, row * depth, depth], -1)
  return points.reshape(-1, 3)


def end_point_error(
    true: np.ndarray, predicted: np.ndarray, points: np.ndarray
) -> np.ndarray:
  """How far points land from where they should, on average.

  A rotation is applied as it was predicted, not made a true one first.

  Args:
    true, predicted: float [..., 12], a rotation of 3 x 3, row by row, and a
      translation: a point p goes to R p + t.
    points: float [N, 3], in the units of the translation.

  Returns:
    float64 [...], in these units.

  Raises:
    ValueError: shapes that do not fit.
  """
  if true.shape != predicted.shape or true.shape[-1:] != (12,):
    raise ValueError(
        'true and predicted must both be [..., 12], got'
        f' {true.shape} and {predicted.shape}'
    )
  off = predicted.astype(np.float64) - true
  rotation = off[..., :9].reshape(*off.shape[:-1], 3, 3)
  moved = points @ rotation.swapaxes(-1, -2) + off[..., None, 9:]
  return np.linalg.norm(moved, axis=-1).mean(-1)
