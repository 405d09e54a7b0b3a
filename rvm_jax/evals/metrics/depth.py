"""Depth errors: AbsRel, and the share of pixels within a factor of 1.25.

RVM and 4DS report AbsRel on ScanNet. Whether they average over pixels or over
frames is not published. `score` gives one score per frame, whose plain mean is
an average over frames, and `pool` averages over pixels; the ScanNet benchmark
reports both. Neither rescales the predictions.
"""

import numpy as np


def score(true: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
  """Scores each frame by the mean over its pixels of known depth.

  Args:
    true: ground-truth depth in metres, float [..., H, W]. Where it is 0, below
      0 or NaN, the depth is unknown and the pixel is not scored.
    predicted: predicted depth in metres, float [..., H, W].

  Returns:
    'abs_rel': the mean of |predicted - true| / true, float64 [...].
    'delta_1': the share of pixels whose larger depth, predicted or true, is
    less than 1.25 times the smaller one, float64 [...].
    'num_pixels': the number of pixels of known depth, int64 [...].
    The two scores are NaN for a frame without such a pixel.

  Raises:
    ValueError: the shapes differ or have no H, W.
  """
  if true.shape != predicted.shape or true.ndim < 2:
    raise ValueError(
        'true and predicted must both be [..., H, W], got'
        f' {true.shape} and {predicted.shape}'
    )
  # Unknown pixels get a depth of 1 and an error of 0, and are not counted.
  known = true > 0
  true = np.where(known, true, 1).astype(np.float64)
  predicted = np.where(known, predicted, 1).astype(np.float64)
  error = np.where(known, np.abs(predicted - true) / true, 0)
  is_near = (predicted < 1.25 * true) & (true < 1.25 * predicted) & known
  num_pixels = known.sum((-2, -1))
  count = np.where(num_pixels > 0, num_pixels, np.nan)
  return {
      'abs_rel': error.sum((-2, -1)) / count,
      'delta_1': is_near.sum((-2, -1)) / count,
      'num_pixels': num_pixels,
  }


def pool(scores: dict[str, np.ndarray]) -> dict[str, float]:
  """Averages the scores of frames over all their pixels of known depth.

  Args:
    scores: scores of frames, as returned by `score`.

  Returns:
    'abs_rel' and 'delta_1', means over pixels; NaN if no depth is known.
  """
  weights = scores['num_pixels']
  total = weights.sum()
  pooled = {}
  for name in ('abs_rel', 'delta_1'):
    summed = (np.where(weights > 0, scores[name], 0) * weights).sum()
    pooled[name] = float(summed / total) if total else float('nan')
  return pooled
