"""Joints to soft labels on the patch grid, and back.

As the released evaluation does it, whatever it does at the border.
"""

import numpy as np

_SIGMA = 0.5  # Patches.
_TOP_K = 5


def encode(
    pose: np.ndarray, shape: tuple[int, int], grid: tuple[int, int]
) -> np.ndarray:
  """Soft labels of the patches of one annotated frame.

  Args:
    pose: float [J, 2], (x, y) in pixels of the frame; may lie outside.
    shape: H and W of the frame.
    grid: rows and columns of patches, h x w.

  Returns:
    float32 [h, w, 1 + J], first the background: 1 where no joint is near. Then
    a bump of 4 x 4 patches for each joint, nothing for one far outside.
  """
  maps = np.zeros((*grid, 1 + len(pose)), np.float32)
  scale = np.array(grid[::-1]) / np.array(shape[::-1])
  for joint, point in enumerate(pose * scale, 1):
    maps[..., joint] = _draw_bump(point, grid)
  maps[..., 0] = maps.sum(-1) == 0
  return maps


def decode(
    soft: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Where the joints are: the mean of the places of the five highest votes.

  Args:
    soft: float [T, h, w, 1 + J].
    shape: H and W of the frames.

  Returns:
    float [T, J, 2], (x, y) in pixels, -1 for a joint without any vote; and bool
    [T, J], whether it has one.
  """
  time, rows, columns, _ = soft.shape
  votes = np.asarray(soft, np.float32)[..., 1:]
  votes = votes.reshape(time, rows * columns, -1)
  best = np.argsort(-votes, 1, 'stable')[:, :_TOP_K]  # [T, k, J]
  votes = np.take_along_axis(votes, best, 1)
  total = votes.sum(1)
  is_found = total > 0
  weights = votes / np.where(is_found, total, 1)[:, None]
  y, x = np.divmod(best, columns)
  place = np.stack(
      [
          (x * weights).sum(1) * (shape[1] / columns),
          (y * weights).sum(1) * (shape[0] / rows),
      ],
      -1,
  )
  return np.where(is_found[..., None], place, -1), is_found


def _draw_bump(point, grid):
  """Pastes a Gaussian of 4 x 4 patches, cut off at the border."""
  result = np.zeros(grid, np.float32)
  side = int(6 * _SIGMA + 1)
  centred = np.arange(side) - side // 2
  bump = np.exp(-np.square(centred) / (2 * _SIGMA**2))
  # int() rounds towards zero, also below it.
  low = [int(p - 3 * _SIGMA) for p in point]
  high = [int(p + 3 * _SIGMA + 1) for p in point]
  size = grid[::-1]
  if any(a >= s or b < 0 for a, b, s in zip(low, high, size)):
    return result
  to, parts = [], []
  for a, b, s in zip(low, high, size):
    start, stop = max(0, a), min(b, s)
    to.append(slice(start, stop))
    parts.append(bump[max(0, -a) : stop - a])
  result[to[1], to[0]] = parts[1][:, None] * parts[0]
  return result
