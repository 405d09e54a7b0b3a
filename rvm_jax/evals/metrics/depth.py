"""Relative error of depth and the share of pixels within a factor."""

import numpy as np


def score(true: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
  """Scores each frame; depths are compared as they are, without any scaling.

  A frame's score is the mean over its pixels of known depth. How the paper goes
  on is not known. We report the mean over all pixels: frames weighted by
  'num_pixels', see `pool`. The plain mean of a score over frames is the other
  reading.

  Args:
    true: float [..., H, W], metres; what is not above 0 is not known.
    predicted: float [..., H, W], metres.

  Returns:
    'abs_rel', the mean of |predicted - true| / true, 'delta_1', the share of
    pixels where the larger of both depths is less than 1.25 times the other,
    both float64 [...] and NaN without a known pixel; 'num_pixels', int64 [...].

  Raises:
    ValueError: shapes that do not fit.
  """
  if true.shape != predicted.shape or true.ndim < 2:
    raise ValueError(
        'true and predicted must both be [..., H, W], got'
        f' {true.shape} and {predicted.shape}'
    )
  known = true > 0
  true = np.where(known, true, 1).astype(np.float64)
  predicted = np.where(known, predicted, 1).astype(np.float64)
  off = np.where(known, np.abs(predicted - true) / true, 0)
  near = (predicted < 1.25 * true) & (true < 1.25 * predicted) & known
  num_pixels = known.sum((-2, -1))
  count = np.where(num_pixels > 0, num_pixels, np.nan)
  return {
      'abs_rel': off.sum((-2, -1)) / count,
      'delta_1': near.sum((-2, -1)) / count,
      'num_pixels': num_pixels,
  }


def pool(scores: dict[str, np.ndarray]) -> dict[str, float]:
  """The mean over the known pixels of all frames that `score` returned.

  Returns:
    'abs_rel' and 'delta_1', NaN if there is no known pixel.
  """
  weights = scores['num_pixels']
  total = weights.sum()
  pooled = {}
  for name in ('abs_rel', 'delta_1'):
    summed = (np.where(weights > 0, scores[name], 0) * weights).sum()
    pooled[name] = float(summed / total) if total else float('nan')
  return pooled
