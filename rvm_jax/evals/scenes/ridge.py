"""Ridge regression on random Fourier features: a readout in closed form.

Inputs are standardised. Cosines of random mixtures of them are added as further
inputs, so that the linear regression approximates one with a Gaussian kernel
(Rahimi and Recht, "Random Features for Large-Scale Kernel Machines", NeurIPS
2007). The ridge penalty is chosen by cross-validation.

As it is solved rather than trained, there is no learning rate, no order of
examples and no number of steps to choose, and the same rows always give the
same predictions.
"""

from typing import NamedTuple

import numpy as np

# Candidates for the penalty. The largest is first, as the first of equally good
# ones is chosen.
_PENALTIES = 10.0 ** np.arange(2, -8, -1)
_NUM_FOLDS = 4
# Rounds of a robust fit, of which the first is an ordinary one.
_NUM_ROUNDS = 3
# Number of Fourier features: one for so many rows, up to a maximum.
_ROWS_PER_FOURIER = 5
_MAX_FOURIER = 300


class Regression(NamedTuple):
  """A fitted regression of K outputs on F inputs and M Fourier features.

  Attributes:
    mean: float32 [F], mean of the inputs.
    scale: float32 [F], standard deviation of the inputs, 1 for constant ones.
    frequencies: float32 [F, M], frequencies of the Fourier features.
    phases: float32 [M], phases of the Fourier features in radians.
    coefficients: float32 [F + M, K].
    intercept: float32 [K].
    low: float32 [K], smallest target of each output; predictions are clipped
      to it.
    high: float32 [K], largest target, likewise.
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
    """Predicts outputs, float32 [..., K], from inputs, float [..., F]."""
    predictions = self.expand(inputs) @ self.coefficients + self.intercept
    return np.clip(predictions, self.low, self.high)

  def expand(self, inputs: np.ndarray) -> np.ndarray:
    """Turns inputs [..., F] into regressors [..., F + M]."""
    x = (inputs.astype(np.float32) - self.mean) / self.scale
    # Two inputs are typically about sqrt(F) apart. Scaled by it, the kernel is
    # as wide as their distance.
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

  All outputs share one penalty, the one with the least squared error in
  cross-validation, also if the fit is robust.

  Args:
    inputs: float [R, F], a row for each observation.
    targets: float [R, K].
    groups: int [R], number of each row's group. Rows of one group, such as
      those of one clip, are never split by the cross-validation.
    weights: float [R], how much each row counts, at least 0; None for 1.
    huber_threshold: None for least squares. Otherwise the Huber loss is
      minimised, by iteratively reweighted least squares: rows with a larger
      root mean squared error than this count linearly instead of quadratically,
      so that rows which nothing explains matter less.

  Raises:
    ValueError: arrays have different numbers of rows, hold values that are not
      finite, or all weights are 0.
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

  # Groups are assigned to folds at random, because their numbers may depend on
  # how the groups were made. numbers: [R], from 0 and without gaps.
  rng = np.random.default_rng(0)
  _, numbers = np.unique(groups[rows], return_inverse=True)
  folds = rng.permutation(numbers.max() + 1)[numbers] % _NUM_FOLDS

  num_fourier = min(_MAX_FOURIER, len(inputs) // _ROWS_PER_FOURIER)
  width = inputs.shape[1]
  # In float64 the deviation of a constant input is exactly 0.
  scale = inputs.std(0, np.float64)
  regression = Regression(
      inputs.mean(0),
      np.where(scale > 0, scale, 1).astype(np.float32),
      rng.standard_normal((width, num_fourier), np.float32),
      rng.uniform(0, 2 * np.pi, num_fourier).astype(np.float32),
      np.zeros((width + num_fourier, targets.shape[1]), np.float32),
      np.zeros(targets.shape[1], np.float32),
      targets.min(0),
      targets.max(0),
  )
  x = regression.expand(inputs)
  penalty = _choose_penalty(x, targets, weights, folds)
  coefficients, intercept = _solve(x, targets, weights, penalty)
  if huber_threshold is not None:
    for _ in range(_NUM_ROUNDS - 1):
      # Rows weigh as much as the inverse of their error, [R]; below the
      # threshold all weigh the same.
      errors = np.square(x @ coefficients + intercept - targets).mean(1)
      robust = weights / np.maximum(np.sqrt(errors), huber_threshold)
      coefficients, intercept = _solve(x, targets, robust, penalty)
  return regression._replace(coefficients=coefficients, intercept=intercept)


def _choose_penalty(x, targets, weights, folds):
  """Returns the penalty with the least squared error on left-out folds.

  Args:
    x: float32 [R, M], regressors.
    targets: float32 [R, K].
    weights: float32 [R].
    folds: int [R], number of each row's fold.
  """
  x, targets, _, _ = _center(x, targets, weights)
  parts = [folds == fold for fold in range(_NUM_FOLDS)]
  # Normal equations of each fold; their sums are those of all rows.
  moments = [_compute_moments(x[p], targets[p], weights[p]) for p in parts]
  squares, products = (sum(x) for x in zip(*moments))
  errors = np.zeros(len(_PENALTIES))
  for part, (square, product) in zip(parts, moments):
    # Without this fold, in the basis of eigenvectors, where the solution for
    # every penalty is a division: coefficients = product / (value + penalty).
    values, vectors = np.linalg.eigh((squares - square) / weights.sum())
    rotated = vectors.T @ ((products - product) / weights.sum())  # [M, K]
    left_out = x[part] @ vectors.astype(np.float32)  # [R', M]
    for number, penalty in enumerate(_PENALTIES):
      shrunk = rotated / (np.maximum(values, 0) + penalty)[:, None]
      residuals = left_out @ shrunk.astype(np.float32) - targets[part]
      errors[number] += weights[part] @ np.square(residuals).sum(1)
  return _PENALTIES[errors.argmin()]


def _solve(x, targets, weights, penalty):
  """Returns coefficients [M, K] and the intercept [K], which is not penalised.

  The penalty counts as often as the rows weigh together.
  """
  x, targets, x_mean, target_mean = _center(x, targets, weights)
  square, product = _compute_moments(x, targets, weights)
  square[np.diag_indices_from(square)] += penalty * weights.sum()
  solution = np.linalg.solve(square, product).astype(np.float32)
  return solution, (target_mean - x_mean @ solution).astype(np.float32)


def _center(x, targets, weights):
  """Subtracts the weighted means of all columns, and returns them too."""
  share = weights / weights.sum()
  x_mean, target_mean = share @ x, share @ targets
  return x - x_mean, targets - target_mean, x_mean, target_mean


def _compute_moments(x, targets, weights):
  """Returns both sides of the normal equations, float64 [M, M] and [M, K]."""
  weighted = (x * weights[:, None]).T
  return (weighted @ x).astype(np.float64), (weighted @ targets).astype(
      np.float64
  )
