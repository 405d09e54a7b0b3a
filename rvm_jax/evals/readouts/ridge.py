"""Ridge regression on random Fourier features: a readout in closed form.

Inputs are standardised. Beside them stand cosines of random mixtures of them,
with which a linear regression is about one with a Gaussian kernel (Rahimi and
Recht, 2007). How much coefficients are held down is chosen by cross-validation.
There are no steps, and so no learning rate, no order of examples and no end to
choose: the same rows give the same answers.
"""

from typing import NamedTuple

import numpy as np

# Per unit of weight, the strongest first: it wins where all are as good.
_DECAYS = 10.0 ** np.arange(2, -8, -1)
_NUM_FOLDS = 4
_NUM_ROUNDS = 3  # Of a robust fit; the first is one of plain squares.
_MAX_WAVES = 300
_ROWS_PER_WAVE = 5


class Regression(NamedTuple):
  """What was fitted, for F inputs, M waves and K outputs.

  Attributes:
    center, spread: float32 [F], of the inputs.
    mixtures: float32 [F, M], and phases [M], of the waves.
    coefficients: float32 [F + M, K].
    intercept: float32 [K].
    low, high: float32 [K], of the targets: no answer lies outside.
  """

  center: np.ndarray
  spread: np.ndarray
  mixtures: np.ndarray
  phases: np.ndarray
  coefficients: np.ndarray
  intercept: np.ndarray
  low: np.ndarray
  high: np.ndarray

  def predict(self, inputs: np.ndarray) -> np.ndarray:
    """Answers, float32 [..., K], to inputs, float [..., F]."""
    answers = self._expand(inputs) @ self.coefficients + self.intercept
    return np.clip(answers, self.low, self.high)

  def _expand(self, inputs):
    x = (inputs.astype(np.float32) - self.center) / self.spread
    # The kernel is as wide as inputs are typically apart.
    x /= np.float32(max(1, x.shape[-1]) ** 0.5)
    waves = np.cos(x @ self.mixtures + self.phases)
    waves *= np.float32((2 / max(1, waves.shape[-1])) ** 0.5)
    return np.concatenate([x, waves], -1)


def fit(
    inputs: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    softness: float | None = None,
) -> Regression:
  """Fits a regression.

  Args:
    inputs: float [R, F].
    targets: float [R, K].
    groups: int [R]. Rows of one group, such as those of one clip, are on the
      same side of each split of the cross-validation.
    weights: float [R] >= 0, how much a row counts; None for all alike.
    softness: None to fit squares of errors; or the root mean square of a row's
      errors from which on its length counts and not its square, so that a few
      rows that nothing explains matter less.

  Raises:
    ValueError: arrays that do not fit together, or no row counts.
  """
  if weights is None:
    weights = np.ones(len(inputs), np.float32)
  if not len(inputs) == len(targets) == len(groups) == len(weights):
    raise ValueError(
        'inputs, targets, groups and weights must have a row each, got'
        f' {[len(x) for x in (inputs, targets, groups, weights)]}'
    )
  rows = weights > 0
  if not rows.any():
    raise ValueError(f'no row counts: all {len(rows)} weights are 0')
  inputs, targets, weights = (
      x[rows].astype(np.float32) for x in (inputs, targets, weights)
  )
  folds = groups[rows] % _NUM_FOLDS
  rng = np.random.default_rng(0)
  num_waves = min(_MAX_WAVES, len(inputs) // _ROWS_PER_WAVE)
  spread = inputs.std(0)
  width = inputs.shape[1]
  found = Regression(
      inputs.mean(0),
      np.where(spread > 0, spread, 1),
      rng.standard_normal((width, num_waves), np.float32),
      rng.uniform(0, 2 * np.pi, num_waves).astype(np.float32),
      np.zeros((width + num_waves, targets.shape[1]), np.float32),
      np.zeros(targets.shape[1], np.float32),
      targets.min(0),
      targets.max(0),
  )
  x = found._expand(inputs)
  decay, share = None, np.ones_like(weights)
  for _ in range(1 if softness is None else _NUM_ROUNDS):
    coefficients, intercept, decay = _solve(
        x, targets, weights * share, folds, decay
    )
    found = found._replace(coefficients=coefficients, intercept=intercept)
    if softness is not None:
      errors = np.square(x @ coefficients + intercept - targets).mean(1)
      share = 1 / np.maximum(np.sqrt(errors), softness)
      share /= np.average(share, weights=weights)
  return found


def _solve(x, targets, weights, folds, decay):
  """Coefficients, intercept and the decay, which is chosen if it is None."""
  total = weights.sum()
  mean, middle = (weights @ x / total, weights @ targets / total)
  x, targets = x - mean, targets - middle
  scaled = x * (weights / total)[:, None]
  parts = [folds == fold for fold in range(_NUM_FOLDS)]
  squares = np.stack([scaled[p].T @ x[p] for p in parts]).astype(np.float64)
  products = np.stack([scaled[p].T @ targets[p] for p in parts])
  if decay is None:
    errors = np.zeros(len(_DECAYS))
    for part, square, product in zip(parts, squares, products):
      values, vectors = np.linalg.eigh(squares.sum(0) - square)
      known = vectors.T @ (products.sum(0) - product)
      shown = x[part] @ vectors.astype(np.float32)
      for number, candidate in enumerate(_DECAYS):
        shrunk = known / (np.maximum(values, 0) + candidate)[:, None]
        off = shown @ shrunk.astype(np.float32) - targets[part]
        errors[number] += weights[part] @ np.square(off).sum(1)
    decay = _DECAYS[errors.argmin()]
  square = squares.sum(0)
  square[np.diag_indices_from(square)] += decay
  found = np.linalg.solve(square, products.sum(0)).astype(np.float32)
  return found, (middle - mean @ found).astype(np.float32), decay
