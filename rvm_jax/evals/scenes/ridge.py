"""Ridge regression on random Fourier features: a readout in closed form.

Inputs are standardised. Beside them stand cosines of random mixtures of them,
with which a linear regression is about one with a Gaussian kernel (Rahimi and
Recht, 2007). The ridge penalty is chosen by cross-validation. There are no
steps, and so no learning rate, no order of examples and no end to choose: the
same rows give the same answers.
"""

from typing import NamedTuple

import numpy as np

# The strongest first: it wins where all are as good.
_PENALTIES = 10.0 ** np.arange(2, -8, -1)
_NUM_FOLDS = 4
_NUM_ROUNDS = 3  # Of a robust fit; the first is one of plain squares.
_MAX_FOURIER = 300
_ROWS_PER_FOURIER = 5


class Regression(NamedTuple):
  """What was fitted, for F inputs, M Fourier features and K outputs.

  Attributes:
    mean, scale: float32 [F], of the inputs.
    frequencies: float32 [F, M], and phases [M], of the Fourier features.
    coefficients: float32 [F + M, K].
    intercept: float32 [K].
    low, high: float32 [K], of the targets: no answer lies outside.
  """

  mean: np.ndarray
  scale: np.ndarray
  frequencies: np.ndarray
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
    x = (inputs.astype(np.float32) - self.mean) / self.scale
    # The kernel is as wide as inputs are typically apart.
    x /= np.float32(max(1, x.shape[-1]) ** 0.5)
    fourier = np.cos(x @ self.frequencies + self.phases)
    fourier *= np.float32((2 / max(1, fourier.shape[-1])) ** 0.5)
    return np.concatenate([x, fourier], -1)


def fit(
    inputs: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    huber_threshold: float | None = None,
) -> Regression:
  """Fits a regression.

  The penalty is one for all outputs, and the best for squares of errors.

  Args:
    inputs: float [R, F].
    targets: float [R, K].
    groups: int [R]. Rows of one group, such as those of one clip, are on the
      same side of each split of the cross-validation.
    weights: float [R] >= 0, how much a row counts; None for all alike.
    huber_threshold: None to fit squares of errors; or the root mean square of a
      row's errors from which on it counts linearly, so that rows which nothing
      explains matter less. By iteratively reweighted least squares.

  Raises:
    ValueError: arrays that do not fit together or are not finite, or no row
      counts.
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
  for name, x in (('inputs', inputs), ('targets', targets)):
    bad = (~np.isfinite(x)).any(1).sum()
    if bad:
      raise ValueError(f'{name} must be finite, got {bad} rows that are not')
  rng = np.random.default_rng(0)
  # Groups are dealt at random: their numbers may stand for how they were made.
  _, numbers = np.unique(groups[rows], return_inverse=True)
  folds = rng.permutation(numbers.max() + 1)[numbers] % _NUM_FOLDS
  num_fourier = min(_MAX_FOURIER, len(inputs) // _ROWS_PER_FOURIER)
  width = inputs.shape[1]
  # In float64 that of a constant is exactly 0.
  scale = inputs.std(0, np.float64)
  found = Regression(
      inputs.mean(0),
      np.where(scale > 0, scale, 1).astype(np.float32),
      rng.standard_normal((width, num_fourier), np.float32),
      rng.uniform(0, 2 * np.pi, num_fourier).astype(np.float32),
      np.zeros((width + num_fourier, targets.shape[1]), np.float32),
      np.zeros(targets.shape[1], np.float32),
      targets.min(0),
      targets.max(0),
  )
  x = found._expand(inputs)
  penalty = _choose_penalty(x, targets, weights, folds)
  coefficients, intercept = _solve(x, targets, weights, penalty)
  if huber_threshold is not None:
    for _ in range(_NUM_ROUNDS - 1):
      errors = np.square(x @ coefficients + intercept - targets).mean(1)
      robust = weights / np.maximum(np.sqrt(errors), huber_threshold)
      coefficients, intercept = _solve(x, targets, robust, penalty)
  return found._replace(coefficients=coefficients, intercept=intercept)


def _choose_penalty(x, targets, weights, folds):
  """The one with the least squared error on rows that are left out."""
  x, targets, _, _ = _center(x, targets, weights)
  parts = [folds == fold for fold in range(_NUM_FOLDS)]
  moments = [_moments(x[p], targets[p], weights[p]) for p in parts]
  squares, products = (sum(x) for x in zip(*moments))
  errors = np.zeros(len(_PENALTIES))
  for part, (square, product) in zip(parts, moments):
    values, vectors = np.linalg.eigh((squares - square) / weights.sum())
    known = vectors.T @ ((products - product) / weights.sum())
    shown = x[part] @ vectors.astype(np.float32)
    for number, penalty in enumerate(_PENALTIES):
      shrunk = known / (np.maximum(values, 0) + penalty)[:, None]
      off = shown @ shrunk.astype(np.float32) - targets[part]
      errors[number] += weights[part] @ np.square(off).sum(1)
  return _PENALTIES[errors.argmin()]


def _solve(x, targets, weights, penalty):
  """Coefficients and intercept, which is not held down."""
  x, targets, x_mean, target_mean = _center(x, targets, weights)
  square, product = _moments(x, targets, weights)
  square[np.diag_indices_from(square)] += penalty * weights.sum()
  found = np.linalg.solve(square, product).astype(np.float32)
  return found, (target_mean - x_mean @ found).astype(np.float32)


def _center(x, targets, weights):
  share = weights / weights.sum()
  x_mean, target_mean = share @ x, share @ targets
  return x - x_mean, targets - target_mean, x_mean, target_mean


def _moments(x, targets, weights):
  weighted = (x * weights[:, None]).T
  return (weighted @ x).astype(np.float64), (weighted @ targets).astype(
      np.float64
  )
