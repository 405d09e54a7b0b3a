"""Region similarity J and boundary accuracy F of masks, as for DAVIS-2017.

The measures are from Perazzi et al., CVPR 2016, in the form of the DAVIS-2017
toolkit (github.com/davisvideochallenge/davis2017-evaluation). The toolkit
ignores pixels labelled void; here, as in the released RVM evaluation, every
pixel counts.
"""

import numpy as np
from scipy import spatial


def jaccard(true, predicted):
  """Computes J, the intersection over union of masks.

  Args:
    true: ground-truth masks, bool [..., H, W].
    predicted: predicted masks, bool [..., H, W].

  Returns:
    float64 [...] in [0, 1]; 1 where both masks are empty.

  Raises:
    ValueError: the shapes differ or have no H, W.
  """
  true, predicted = _as_masks(true, predicted)
  union = (true | predicted).sum((-2, -1), dtype=np.float64)
  intersection = (true & predicted).sum((-2, -1), dtype=np.float64)
  return np.where(union > 0, intersection / np.maximum(union, 1), 1.0)


def boundary_f(true, predicted, *, tolerance=0.008):
  """Computes F, the harmonic mean of the boundaries' precision and recall.

  A boundary pixel counts as matched if the other mask has a boundary pixel
  within a disk of radius ceil(tolerance * diagonal of the image) around it.

  Args:
    true: ground-truth masks, bool [..., H, W].
    predicted: predicted masks, bool [..., H, W].
    tolerance: radius of the disk as a share of the image's diagonal.

  Returns:
    float64 [...] in [0, 1]; 1 where neither mask has a boundary, 0 where only
    one has. A mask that is empty or fills the image has no boundary.

  Raises:
    ValueError: the shapes differ or have no H, W.
  """
  true, predicted = _as_masks(true, predicted)
  radius = np.ceil(tolerance * np.hypot(*true.shape[-2:]))
  scores = np.empty(true.shape[:-2])
  for index in np.ndindex(scores.shape):
    scores[index] = _boundary_f(true[index], predicted[index], radius)
  return scores[()]  # A number if there are no leading axes.


def recall(scores):
  """Computes the share of frames that score above 0.5.

  Args:
    scores: J or F of each frame, float [..., T].

  Returns:
    float64 [...] in [0, 1].
  """
  return np.mean(np.asarray(scores) > 0.5, axis=-1)


def decay(scores):
  """Computes by how much the mean score falls from first to last quarter.

  The quarters are those of the frames. Neighbouring quarters both contain the
  frame between them, as in the DAVIS-2017 toolkit.

  Args:
    scores: J or F of each frame, float [..., T].

  Returns:
    float64 [...]; above 0 where the score falls over time.
  """
  scores = np.asarray(scores)
  # The first and last frames of the quarters, counted from 1 and rounded as in
  # the toolkit (1e-10 is added to round halves up), and then counted from 0.
  edges = np.linspace(1, scores.shape[-1], 5)
  edges = np.round(edges + 1e-10).astype(int) - 1
  first = scores[..., : edges[1] + 1]
  last = scores[..., edges[3] :]
  return first.mean(-1) - last.mean(-1)


def _boundary_f(true, predicted, radius):
  """Computes F of two masks [H, W] for a disk of a radius in pixels."""
  true, predicted = _boundary(true), _boundary(predicted)
  if not true.any() or not predicted.any():
    return float(true.any() == predicted.any())
  precision = _share_near(predicted, true, radius)
  recall = _share_near(true, predicted, radius)
  if precision + recall == 0:
    return 0.0
  return 2 * precision * recall / (precision + recall)


def _boundary(mask):
  """Marks pixels that differ from a neighbour right, below or below right."""
  padded = np.pad(mask, (0, 1), mode='edge')
  return (
      (mask != padded[:-1, 1:])
      | (mask != padded[1:, :-1])
      | (mask != padded[1:, 1:])
  )


def _share_near(boundary, other, radius):
  """Computes the share of `boundary` within `radius` pixels of `other`."""
  # The search is bounded to save time. The bound lies above the radius, so that
  # a pixel at exactly the radius is still found.
  distances, _ = spatial.KDTree(np.argwhere(other)).query(
      np.argwhere(boundary), distance_upper_bound=radius + 0.5
  )
  return np.mean(distances <= radius)


def _as_masks(true, predicted):
  """Returns both arrays as bool after checking that their shapes agree."""
  true, predicted = np.asarray(true, bool), np.asarray(predicted, bool)
  if true.shape != predicted.shape or true.ndim < 2:
    raise ValueError(
        'true and predicted must both be [..., H, W], got'
        f' {true.shape} and {predicted.shape}'
    )
  return true, predicted
