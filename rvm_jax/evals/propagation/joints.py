"""Converts joints to soft labels on the patch grid, and back.

The conversion is that of the released evaluation (cells 12 and 15 to 24 of the
notebook that `label_propagation` names). Its rounding, and its treatment of
joints near the border, are reproduced because they affect the scores.
"""

import numpy as np

# Standard deviation of the Gaussian bump around a joint, in patches.
_SIGMA = 0.5
# Number of patches whose positions are averaged when a joint is decoded.
_TOP_K = 5


def encode(
    pose: np.ndarray, shape: tuple[int, int], grid: tuple[int, int]
) -> np.ndarray:
  """Converts the joints of one frame to soft labels of its patches.

  Args:
    pose: float [J, 2], the J joints as (x, y) in pixels of the frame. They may
      lie outside it.
    shape: height and width of the frame in pixels.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [h, w, 1 + J]. Channel 0 is the background: 1 in patches where all
    other channels are 0, and 0 elsewhere. Each other channel holds a Gaussian
    bump of 4 x 4 patches around a joint, without the part outside the frame; it
    is all 0 if the whole bump is outside.
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
  """Converts soft labels of a video to joints.

  A joint is the mean position of the five patches that have the highest labels
  in its channel, weighted by these labels. The position of a patch is its upper
  left corner, as in the released evaluation. Of patches with equal labels, the
  first in raster order is taken.

  Args:
    soft: float [T, h, w, 1 + J], soft labels with the channels of `encode`.
    shape: height and width of the frames in pixels.

  Returns:
    The joints as (x, y) in pixels, float [T, J, 2], and whether each joint was
    found, bool [T, J]. A joint whose labels are all 0 is not found, and its
    position is (-1, -1).
  """
  time, rows, columns, _ = soft.shape

  # The k highest labels of each joint, normalized to weights, [T, k, J].
  votes = np.asarray(soft, np.float32)[..., 1:]
  votes = votes.reshape(time, rows * columns, -1)
  best = np.argsort(-votes, 1, 'stable')[:, :_TOP_K]
  votes = np.take_along_axis(votes, best, 1)
  total = votes.sum(1)
  is_found = total > 0
  weights = votes / np.where(is_found, total, 1)[:, None]

  # The weighted mean position of these patches, in pixels, [T, J, 2].
  y, x = np.divmod(best, columns)
  position = np.stack(
      [
          (x * weights).sum(1) * (shape[1] / columns),
          (y * weights).sum(1) * (shape[0] / rows),
      ],
      -1,
  )
  return np.where(is_found[..., None], position, -1), is_found


def _make_bump(point, grid):
  """Returns a Gaussian bump around a point.

  Args:
    point: float [2], (x, y) in patches.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [h, w], all 0 if the bump lies outside the grid.
  """
  result = np.zeros(grid, np.float32)

  # The bump along one axis, [4].
  side = int(6 * _SIGMA + 1)
  centred = np.arange(side) - side // 2
  bump = np.exp(-np.square(centred) / (2 * _SIGMA**2))

  # The bump covers the columns low[0] to high[0] - 1 and the rows low[1] to
  # high[1] - 1. As in the released evaluation, int() rounds towards zero, not
  # down: a bump that begins at a negative fraction is shifted by one patch.
  low = [int(p - 3 * _SIGMA) for p in point]
  high = [int(p + 3 * _SIGMA + 1) for p in point]
  size = grid[::-1]
  if any(a >= s or b < 0 for a, b, s in zip(low, high, size)):
    return result

  # Copy the part of the bump inside the grid. A Gaussian in two dimensions is
  # the product of one along each axis.
  target, parts = [], []
  for a, b, s in zip(low, high, size):
    start, stop = max(0, a), min(b, s)
    target.append(slice(start, stop))
    parts.append(bump[max(0, -a) : stop - a])
  result[target[1], target[0]] = parts[1][:, None] * parts[0]
  return result
