"""Region overlap J and boundary accuracy F, as DAVIS-2017 defines them.

Measures of Perazzi et al., CVPR 2016, in the form of the DAVIS-2017 toolkit
and of the released RVM evaluation: no void pixels.
"""

import numpy as np
from scipy import spatial


def jaccard(true, predicted):
  """Intersection over union of masks.

  Args:
    true: bool [..., H, W].
    predicted: bool [..., H, W], as `true`.

  Returns:
    float64 [...] in [0, 1]; 1 where both masks are empty.

  Raises:
    ValueError: if the shapes differ or have no H, W.
  """
  true, predicted = _as_masks(true, predicted)
  union = (true | predicted).sum((-2, -1), dtype=np.float64)
  overlap = (true & predicted).sum((-2, -1), dtype=np.float64)
  return np.where(union > 0, overlap / np.maximum(union, 1), 1.0)


def boundary_f(true, predicted, *, tolerance=0.008):
  """Harmonic mean of the precision and recall of mask boundaries.

  A boundary pixel counts as found if the other mask has one within a disk of
  radius ceil(tolerance * diagonal).

  Args:
    true: bool [..., H, W].
    predicted: bool [..., H, W], as `true`.
    tolerance: radius of the disk as a share of the image diagonal.

  Returns:
    float64 [...] in [0, 1]; 1 where neither mask has a boundary, 0 where only
    one has. A mask that fills the image has none.

  Raises:
    ValueError: if the shapes differ or have no H, W.
  """
  true, predicted = _as_masks(true, predicted)
  radius = np.ceil(tolerance * np.hypot(*true.shape[-2:]))
  scores = np.empty(true.shape[:-2])
  for index in np.ndindex(scores.shape):
    scores[index] = _boundary_f(true[index], predicted[index], radius)
  return scores[()]


def recall(scores):
  """Share of frames, the last axis, that score above one half."""
  return np.mean(np.asarray(scores) > 0.5, axis=-1)


def decay(scores):
  """What the last quarter of the frames, the last axis, lost against the first.

  Quarters share the frame between them, as in the DAVIS-2017 toolkit.
  """
  scores = np.asarray(scores)
  edges = np.linspace(1, scores.shape[-1], 5)
  edges = np.round(edges + 1e-10).astype(int) - 1
  first = scores[..., : edges[1] + 1]
  last = scores[..., edges[3] :]
  return first.mean(-1) - last.mean(-1)


def _boundary_f(true, predicted, radius):
  true, predicted = _boundary(true), _boundary(predicted)
  if not true.any() or not predicted.any():
    return float(true.any() == predicted.any())
  precision = _share_near(predicted, true, radius)
  recall = _share_near(true, predicted, radius)
  if precision + recall == 0:
    return 0.0
  return 2 * precision * recall / (precision + recall)


def _boundary(mask):
  """Pixels that differ from the one right, below or diagonally below right."""
  padded = np.pad(mask, (0, 1), mode='edge')
  return (
      (mask != padded[:-1, 1:])
      | (mask != padded[1:, :-1])
      | (mask != padded[1:, 1:])
  )


def _share_near(boundary, other, radius):
  """Share of boundary pixels within `radius` of a pixel of the other."""
  distances, _ = spatial.KDTree(np.argwhere(other)).query(
      np.argwhere(boundary), distance_upper_bound=radius + 0.5
  )
  return np.mean(distances <= radius)


def _as_masks(true, predicted):
  true, predicted = np.asarray(true, bool), np.asarray(predicted, bool)
  if true.shape != predicted.shape or true.ndim < 2:
    raise ValueError(
        'true and predicted must both be [..., H, W], got'
        f' {true.shape} and {predicted.shape}'
    )
  return true, predicted
