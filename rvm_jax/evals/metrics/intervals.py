"""How far a score may be off because there are only so many scenes.

Bootstrap: scenes are drawn with replacement as often as there are, the score
is computed of those, and the middle of many such scores is the interval. It
covers the choice of scenes alone; not that of the scenes which a readout was
fitted to, nor the seed of a pretraining run.
"""

import numpy as np

_NUM_DRAWS = 10_000
_SEED = 0
_LEVEL = 0.95
_AT_ONCE = 500  # Draws.


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> float:
  """The mean of scenes that have a score.

  Args:
    values: float [S], a scene's score; nan where it has none.
    weights: float [S], such as the number of objects in the scene; None for 1.

  Raises:
    ValueError: shapes that do not fit, or no scene has a score.
  """
  sums, weights = _sums(values, weights)
  return float(sums.sum() / weights.sum())


def interval(
    values: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
  """The 95 % interval of `mean`: its 2.5th and 97.5th percentiles.

  Args:
    values, weights: as for `mean`.

  Returns:
    low, high. The same each time.
  """
  sums, weights = _sums(values, weights)
  rng = np.random.default_rng(_SEED)
  draws = []
  for _ in range(0, _NUM_DRAWS, _AT_ONCE):
    chosen = rng.integers(len(sums), size=(_AT_ONCE, len(sums)))
    draws.append(sums[chosen].sum(1) / weights[chosen].sum(1))
  tail = 50 * (1 - _LEVEL)
  low, high = np.percentile(np.concatenate(draws), [tail, 100 - tail])
  return float(low), float(high)


def difference(
    first: np.ndarray, second: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float, float]:
  """By how much the second of two models scores more on the same scenes.

  Paired: a scene that is hard for both does not widen the interval.

  Args:
    first, second: float [S], as for `mean`; scenes in which one of them has no
      score do not count.
    weights: as for `mean`.

  Returns:
    The difference of the means, and its interval, low and high.
  """
  if len(first) != len(second):
    raise ValueError(
        'two models must be compared on the same scenes, got'
        f' {len(first)} and {len(second)}'
    )
  off = np.asarray(second, float) - np.asarray(first, float)
  return mean(off, weights), *interval(off, weights)


def _sums(values, weights):
  values = np.asarray(values, float)
  weights = np.ones(len(values)) if weights is None else np.asarray(weights)
  if values.ndim != 1 or weights.shape != values.shape:
    raise ValueError(
        'values and weights must be [S], got'
        f' {values.shape} and {weights.shape}'
    )
  counts = np.isfinite(values) & (weights > 0)
  if not counts.any():
    raise ValueError('no scene has a score')
  return values[counts] * weights[counts], weights[counts]
