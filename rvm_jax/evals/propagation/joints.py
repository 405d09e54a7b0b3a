"""Joints as soft labels on the patch grid, as in the released evaluation.

The released rounding and cutting at the border are kept, as they show in the
scores (cells 12 and 15 to 24 of the notebook that `label_propagation` names).
"""

import numpy as np

# Standard deviation of a joint's bump, in patches.
_SIGMA = 0.5
# Number of patches whose places are averaged when a joint is decoded.
_TOP_K = 5


def encode(
    pose: np.ndarray, shape: tuple[int, int], grid: tuple[int, int]
) -> np.ndarray:
  """Turns the joints of one frame into soft labels of its patches.

  Args:
    pose: float [J, 2], joints as (x, y) in pixels of the frame. They may lie
      outside it.
    shape: height and width of the frame in pixels.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [h, w, 1 + J]. Channel 0 is the background, 1 in the patches that no
    joint reaches and 0 in all others. Each other channel holds a Gaussian bump
    of 4 x 4 patches around its joint, cut off at the border; it is empty for a
    joint far outside.
  """
  maps = np.zeros((*grid, 1 + len(pose)), np.float32)
  scale = np.array(grid[::-1]) / np.array(shape[::-1])
  for joint, point in enumerate(pose * scale, 1):
    maps[..., joint] = _make_bump(point, grid)
  maps[..., 0] = maps.sum(-1) == 0
  return maps


def decode(
    soft: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the joints in soft labels.

  A joint is the mean of the places of the five patches with its highest labels,
  weighted by these labels. A patch's place is its upper left corner, as in the
  released evaluation. Of equal labels, the first in raster order is taken.

  Args:
    soft: float [T, h, w, 1 + J], soft labels as `encode` makes them.
    shape: height and width of the frames in pixels.

  Returns:
    float [T, J, 2], joints as (x, y) in pixels; and bool [T, J], which of them
    were found. A joint whose labels are all 0 is not found and has (-1, -1).
  """
  time, rows, columns, _ = soft.shape

  # The k highest labels of each joint, as weights, [T, k, J].
  votes = np.asarray(soft, np.float32)[..., 1:]
  votes = votes.reshape(time, rows * columns, -1)
  best = np.argsort(-votes, 1, 'stable')[:, :_TOP_K]
  votes = np.take_along_axis(votes, best, 1)
  total = votes.sum(1)
  is_found = total > 0
  weights = votes / np.where(is_found, total, 1)[:, None]

  # The weighted mean of their places, from patches to pixels, [T, J, 2].
  y, x = np.divmod(best, columns)
  place = np.stack(
      [
          (x * weights).sum(1) * (shape[1] / columns),
          (y * weights).sum(1) * (shape[0] / rows),
      ],
      -1,
  )
  return np.where(is_found[..., None], place, -1), is_found


def _make_bump(point, grid):
  """Returns a Gaussian bump [h, w] around a point, (x, y) in patches."""
  result = np.zeros(grid, np.float32)
  side = int(6 * _SIGMA + 1)
  centred = np.arange(side) - side // 2
  bump = np.exp(-np.square(centred) / (2 * _SIGMA**2))

  # The columns and rows that the bump covers, from low up to high. int() rounds
  # towards zero, which shifts bumps that begin at a negative place.
  low = [int(p - 3 * _SIGMA) for p in point]
  high = [int(p + 3 * _SIGMA + 1) for p in point]
  size = grid[::-1]
  if any(a >= s or b < 0 for a, b, s in zip(low, high, size)):
    return result

  # The part of the bump inside the grid. Its axes are multiplied: the exponent
  # of a Gaussian is a sum over the axes.
  target, parts = [], []
  for a, b, s in zip(low, high, size):
    start, stop = max(0, a), min(b, s)
    target.append(slice(start, stop))
    parts.append(bump[max(0, -a) : stop - a])
  result[target[1], target[0]] = parts[1][:, None] * parts[0]
  return result
