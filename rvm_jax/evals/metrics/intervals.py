"""Confidence intervals of mean scores over a finite number of scenes.

A scene stands for any unit that has a score of its own, such as a test video.
The intervals are 95 % percentile-bootstrap intervals: scenes are sampled with
replacement, as many as there are, the mean score of the sample is computed, and
this is repeated; the interval holds the middle 95 % of the means. It covers the
choice of the scored scenes alone. It does not cover the choice of the scenes to
which a readout was fitted, nor the seed of a pretraining run.
"""

import numpy as np

_NUM_RESAMPLES = 10_000
_RESAMPLES_AT_ONCE = 500
_SEED = 0
_LEVEL = 0.95


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
  """Computes the weighted mean score over the scenes that have a score.

  Args:
    values: score of each of S scenes, float [S]; NaN for a scene without one.
    weights: weight of each scene, float [S], such as its number of objects;
      None gives every scene 1. A scene of weight 0 is left out.

  Returns:
    The weighted mean.

  Raises:
    ValueError: the shapes differ, or no scene has both a score and a weight.
  """
  sums, weights = _weigh(values, weights)
  return float(sums.sum() / weights.sum())


def interval(
    values: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
  """Computes the 95 % interval of `mean`.

  The seed is fixed: the same scores always have the same interval.

  Args:
    values: score of each of S scenes, float [S]; NaN for a scene without one.
    weights: weight of each scene, float [S]; None gives every scene 1.

  Returns:
    The 2.5th and the 97.5th percentile of the resampled means.

  Raises:
    ValueError: the shapes differ, or no scene has both a score and a weight.
  """
  sums, weights = _weigh(values, weights)
  rng = np.random.default_rng(_SEED)
  means = []
  # Indices of resampled scenes: [_RESAMPLES_AT_ONCE, S] at a time.
  for _ in range(0, _NUM_RESAMPLES, _RESAMPLES_AT_ONCE):
    chosen = rng.integers(len(sums), size=(_RESAMPLES_AT_ONCE, len(sums)))
    means.append(sums[chosen].sum(1) / weights[chosen].sum(1))
  tail = 50 * (1 - _LEVEL)
  low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
  return float(low), float(high)


def difference(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float, float]:
  """Computes by how much a second model outscores a first one, and an interval.

  The models are compared scene by scene (a paired bootstrap), so that scenes
  which are hard for both models do not widen the interval.

  Args:
    first: the first model's score of each of S scenes, float [S].
    second: the second model's scores of the same scenes, float [S]. A scene in
      which either model has no score (NaN) is left out.
    weights: weight of each scene, float [S]; None gives every scene 1.

  Returns:
    The mean of `second - first`, and the low and high end of its interval.

  Raises:
    ValueError: the shapes differ, or no scene has both scores and a weight.
  """
  if len(first) != len(second):
    raise ValueError(
        'two models must be compared on the same scenes, got'
        f' {len(first)} and {len(second)} scores'
    )
  gains = np.asarray(second, float) - np.asarray(first, float)
  return mean(gains, weights), *interval(gains, weights)


def _weigh(values, weights):
  """Returns weighted scores and weights of the scenes that count.

  These are the scenes with a finite score and a weight above 0.
  """
  values = np.asarray(values, float)
  weights = np.ones(len(values)) if weights is None else np.asarray(weights)
  if values.ndim != 1 or weights.shape != values.shape:
    raise ValueError(
        'values and weights must be [S], got'
        f' {values.shape} and {weights.shape}'
    )
  is_scored = np.isfinite(values) & (weights > 0)
  if not is_scored.any():
    raise ValueError('no scene has a score and a weight above 0')
  return values[is_scored] * weights[is_scored], weights[is_scored]
