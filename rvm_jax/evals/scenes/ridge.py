"""Ridge regression on random Fourier features: a readout in closed form.

Inputs are standardised. Cosines of random linear combinations of them are added
as further regressors, so that the linear regression approximates one with a
Gaussian kernel (Rahimi and Recht, "Random Features for Large-Scale Kernel
Machines", NeurIPS 2007). The ridge penalty is chosen by cross-validation.

A regression is solved rather than trained. So there is no learning rate, no
order of examples and no number of steps to choose, and the same rows always
give the same predictions.

R is the number of rows (observations), F the number of inputs, M the number of
Fourier features, and K the number of outputs.
"""

from typing import NamedTuple

import numpy as np

# Candidates for the penalty, in descending order. Of equally good ones, the
# first and therefore the largest is chosen.
_PENALTIES = 10.0 ** np.arange(2, -8, -1)
# Number of parts of the rows in cross-validation.
_NUM_FOLDS = 4
# Number of times that a robust fit is solved. The first time, rows have their
# given weights.
_NUM_ROUNDS = 3
# Number of rows for each Fourier feature, so that few rows get few features.
_ROWS_PER_FOURIER = 5
# Greatest number of Fourier features.
_MAX_FOURIER = 300


class Regression(NamedTuple):
  """A fitted regression of K outputs on F inputs and M Fourier features.

  Attributes:
    mean: float32 [F], mean of the inputs.
    scale: float32 [F], standard deviation of the inputs, 1 for constant ones.
    frequencies: float32 [F, M], frequencies of the Fourier features.
    phases: float32 [M], phases of the Fourier features in radians.
    coefficients: float32 [F + M, K], coefficients of the regressors, which are
      the scaled inputs and the Fourier features.
    intercept: float32 [K], intercept of each output.
    low: float32 [K], smallest target of each output. Predictions below it are
      raised to it.
    high: float32 [K], largest target of each output. Predictions above it are
      lowered to it.
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
    # The distance of two standardised inputs grows as sqrt(F). Divided by it,
    # the distance is about as large as the width of the kernel, which is 1.
    x /= np.float32(max(1, x.shape[-1]) ** 0.5)
    fourier = np.cos(x @ self.frequencies + self.phases)
    # With this factor the squares of a row's Fourier features sum to about 1.
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

  All outputs share one penalty. It is the one with the least squared error in
  cross-validation, even if the fit itself is robust.

  Args:
    inputs: float [R, F], inputs of each row.
    targets: float [R, K], targets of each row.
    groups: int [R], number of each row's group. In cross-validation, all rows
      of a group, such as those of one clip, are in the same fold.
    weights: float [R], weight of each row, at least 0; None gives every row 1.
      Rows of weight 0 are ignored, whatever their values.
    huber_threshold: None for least squares. Otherwise the Huber loss is
      minimised by iteratively reweighted least squares: if the root mean square
      of a row's errors is above this threshold, the loss grows linearly with it
      instead of quadratically, so that outliers matter less.

  Returns:
    The fitted regression.

  Raises:
    ValueError: the arrays have different numbers of rows; inputs or targets of
      a row with a weight are not finite; or all weights are 0.
  """
  if weights is None:
    weights = np.ones(len(inputs), np.float32)
  if not len(inputs) == len(targets) == len(groups) == len(weights):
    raise ValueError(
        'inputs, targets, groups and weights must have the same number of rows,'
        f' got {[len(x) for x in (inputs, targets, groups, weights)]}'
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
  # how the groups were made. First number the groups from 0, without gaps: [R].
  rng = np.random.default_rng(0)
  _, numbers = np.unique(groups[rows], return_inverse=True)
  folds = rng.permutation(numbers.max() + 1)[numbers] % _NUM_FOLDS

  # Standardise the inputs and sample the Fourier features.
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

  # Choose the penalty, and solve for the coefficients.
  x = regression.expand(inputs)  # [R, F + M]
  penalty = _choose_penalty(x, targets, weights, folds)
  coefficients, intercept = _solve(x, targets, weights, penalty)
  if huber_threshold is not None:
    for _ in range(_NUM_ROUNDS - 1):
      # Divide the weight of each row by its root mean squared error, or by the
      # threshold if the error is smaller: [R].
      errors = np.square(x @ coefficients + intercept - targets).mean(1)
      robust = weights / np.maximum(np.sqrt(errors), huber_threshold)
      coefficients, intercept = _solve(x, targets, robust, penalty)
  return regression._replace(coefficients=coefficients, intercept=intercept)


def _choose_penalty(x, targets, weights, folds):
  """Returns the penalty with the least squared error on left-out folds.

  Args:
    x: float32 [R, F + M], regressors.
    targets: float32 [R, K], targets.
    weights: float32 [R], weights of the rows.
    folds: int [R], number of each row's fold.
  """
  # The means are taken over all rows, including those of the left-out fold.
  x, targets, _, _ = _center(x, targets, weights)
  parts = [folds == fold for fold in range(_NUM_FOLDS)]
  # Compute the normal equations of each fold, and their sums over all folds.
  moments = [_compute_moments(x[p], targets[p], weights[p]) for p in parts]
  squares, products = (sum(x) for x in zip(*moments))
  errors = np.zeros(len(_PENALTIES))
  for part, (square, product) in zip(parts, moments):
    # Turn the normal equations of the other folds into the basis of their
    # eigenvectors. There they are solved for every penalty by a division:
    # coefficients = rotated / (eigenvalue + penalty).
    values, vectors = np.linalg.eigh((squares - square) / weights.sum())
    rotated = vectors.T @ ((products - product) / weights.sum())  # [F + M, K]
    # The regressors of the left-out rows in this basis.
    left_out = x[part] @ vectors.astype(np.float32)
    for number, penalty in enumerate(_PENALTIES):
      shrunk = rotated / (np.maximum(values, 0) + penalty)[:, None]
      residuals = left_out @ shrunk.astype(np.float32) - targets[part]
      errors[number] += weights[part] @ np.square(residuals).sum(1)
  return _PENALTIES[errors.argmin()]


def _solve(x, targets, weights, penalty):
  """Returns the coefficients [F + M, K] and the unpenalised intercept [K].

  The penalty is multiplied by the sum of the weights, so that its effect does
  not depend on the number of rows.
  """
  x, targets, x_mean, target_mean = _center(x, targets, weights)
  square, product = _compute_moments(x, targets, weights)
  square[np.diag_indices_from(square)] += penalty * weights.sum()
  solution = np.linalg.solve(square, product).astype(np.float32)
  return solution, (target_mean - x_mean @ solution).astype(np.float32)


def _center(x, targets, weights):
  """Returns x and targets without their weighted means, and these means."""
  share = weights / weights.sum()
  x_mean, target_mean = share @ x, share @ targets
  return x - x_mean, targets - target_mean, x_mean, target_mean


def _compute_moments(x, targets, weights):
  """Returns both sides of the normal equations, as float64.

  They are [F + M, F + M] and [F + M, K].
  """
  weighted = (x * weights[:, None]).T
  return (weighted @ x).astype(np.float64), (weighted @ targets).astype(
      np.float64
  )
