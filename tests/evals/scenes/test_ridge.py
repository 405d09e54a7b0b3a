"""Tests ridge regression against plain algebra, and its invariances."""

import numpy as np
import pytest

from rvm_jax.evals.scenes import ridge


def make(num_rows=400, width=3, seed=0):
  """Returns inputs [num_rows, width] and groups of four rows."""
  rng = np.random.default_rng(seed)
  return rng.normal(size=(num_rows, width)), np.arange(num_rows) // 4


def unexplained(predictions, targets):
  """Returns the share of the targets' variance that predictions leave."""
  return np.square(predictions - targets).mean() / targets.var()


def test_linear_and_curved_functions_are_learned():
  inputs, groups = make()
  line = inputs @ np.array([[1.0, 2], [0, -1], [3, 0]]) + [5, -7]
  curve = np.sin(1.5 * inputs[:, :1])
  regression = ridge.fit(inputs, np.concatenate([line, curve], 1), groups)
  new, _ = make(seed=1)
  new = np.clip(new, -1.5, 1.5)
  predictions = regression.predict(new.reshape(100, 4, 3)).reshape(400, 3)
  assert predictions.dtype == np.float32
  line = new @ np.array([[1.0, 2], [0, -1], [3, 0]]) + [5, -7]
  assert unexplained(predictions[:, :2], line) < 1e-3
  assert unexplained(predictions[:, 2], np.sin(1.5 * new[:, 0])) < 0.05


def expand(regression, inputs):
  """Returns the regressors in float64, with a last column of ones."""
  x = (inputs - regression.mean) / regression.scale / inputs.shape[1] ** 0.5
  fourier = np.cos(x @ regression.frequencies + regression.phases)
  fourier *= (2 / fourier.shape[1]) ** 0.5
  return np.concatenate([x, fourier, np.ones((len(x), 1))], 1)


def solve(x, targets, weights, penalty):
  """Solves the normal equations; the last column is not penalised."""
  penalty = np.diag([penalty * weights.sum()] * (x.shape[1] - 1) + [0])
  heavy = x.T * weights
  return np.linalg.solve(heavy @ x + penalty, heavy @ targets)


def test_predictions_and_penalty_equal_those_by_hand():
  inputs, groups = make(200)
  rng = np.random.default_rng(2)
  # There are two kinds of rows. Those with large weights are hard to fit.
  weights = np.where(np.arange(200) % 8 < 4, 10.0, 0.1)
  noise = rng.normal(size=(200, 1)) * (weights > 1)
  targets = inputs[:, :1] ** 2 + inputs[:, 1:2] + 3 * noise
  regression = ridge.fit(inputs, targets, groups, weights=weights)
  x = expand(regression, inputs)
  folds = np.random.default_rng(0).permutation(50)[groups] % 4
  errors = []
  for exponent in range(2, -8, -1):
    error = 0
    for fold in range(4):
      out = folds == fold
      # Rows that are left out still count in the sum of weights.
      penalty = 10.0**exponent * weights.sum() / weights[~out].sum()
      solution = solve(x[~out], targets[~out], weights[~out], penalty)
      residuals = x[out] @ solution - targets[out]
      error += weights[out] @ np.square(residuals).sum(1)
    errors.append(error)
  best = 10.0 ** (2 - int(np.argmin(errors)))
  expected = np.clip(
      x @ solve(x, targets, weights, best), targets.min(), targets.max()
  )
  np.testing.assert_allclose(regression.predict(inputs), expected, atol=2e-3)
  # Without the weights, predictions would differ.
  unweighted = x @ solve(x, targets, np.ones(200), best)
  assert np.abs(unweighted - expected).max() > 0.1


def test_a_robust_fit_equals_reweighting_by_hand():
  inputs, groups = make(300)
  targets = inputs[:, :1] + np.random.default_rng(5).standard_t(1.5, (300, 1))
  regression = ridge.fit(inputs, targets, groups, huber_threshold=0.1)
  x = expand(regression, inputs)

  def reweight(penalty):
    weights = np.ones(300)
    for _ in range(3):
      solution = solve(x, targets, weights, penalty)
      weights = 1 / np.maximum(np.abs(x @ solution - targets)[:, 0], 0.1)
    return x @ solution

  predictions = regression.predict(inputs)
  differences = [
      np.abs(reweight(10.0**n) - predictions).max() for n in range(-7, 3)
  ]
  assert min(differences) < 2e-3
  plain = ridge.fit(inputs, targets, groups).predict(inputs)
  assert np.abs(plain - predictions).max() > 0.1


def test_numbers_of_groups_do_not_matter():
  # A condition that repeats with the number of a clip must not end up in one
  # fold.
  rng = np.random.default_rng(6)
  groups = np.arange(400)
  kind = groups % 4
  inputs = np.eye(4)[kind] + 0.1 * rng.normal(size=(400, 4))
  targets = np.array([[0.0], [1], [5], [-3]])[kind]
  regression = ridge.fit(inputs, targets, groups)
  assert np.abs(regression.predict(inputs) - targets).mean() < 0.3
  other = ridge.fit(inputs, targets, 1000 * groups + 7)
  np.testing.assert_array_equal(regression.coefficients, other.coefficients)


def test_noise_is_not_fitted():
  inputs, groups = make(300, 40)
  noise = np.random.default_rng(3).normal(size=(300, 1))
  predictions = ridge.fit(inputs, noise, groups).predict(inputs)
  assert predictions.std() < 0.3
  assert abs(predictions.mean() - noise.mean()) < 0.02


def test_groups_are_not_split_by_the_cross_validation():
  # Rows of a group are equal, and are independent of other groups.
  rng = np.random.default_rng(4)
  groups = np.repeat(np.arange(80), 5)
  inputs = rng.normal(size=(80, 30))[groups]
  targets = rng.normal(size=(80, 1))[groups]
  apart = ridge.fit(inputs, targets, groups).predict(inputs)
  mixed = ridge.fit(inputs, targets, np.arange(400)).predict(inputs)
  assert apart.std() < 0.3 < 0.8 < mixed.std()


def test_rows_of_weight_0_are_ignored():
  inputs, groups = make()
  targets = inputs[:, :1].copy()
  weights = np.ones(400)
  weights[::3] = 0
  plain = ridge.fit(inputs, targets, groups, weights=weights)
  inputs[::3], targets[::3] = 50, np.nan
  other = ridge.fit(inputs, targets, groups, weights=weights)
  for a, b in zip(plain, other, strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_robust_fit_is_not_drawn_towards_outliers():
  inputs, groups = make()
  targets = inputs[:, :1].copy()
  targets[::5] = 40
  new, _ = make(seed=1)
  plain = ridge.fit(inputs, targets, groups)
  robust = ridge.fit(inputs, targets, groups, huber_threshold=0.01)
  assert np.abs(plain.predict(new) - new[:, :1]).mean() > 5
  assert np.abs(robust.predict(new) - new[:, :1]).mean() < 1


def test_predictions_stay_within_the_range_of_the_targets():
  inputs, groups = make()
  regression = ridge.fit(inputs, inputs[:, :1], groups)
  far = regression.predict(np.array([[1e3, 0, 0], [-1e3, 0, 0]]))
  np.testing.assert_allclose(
      far[:, 0], [inputs[:, 0].max(), inputs[:, 0].min()], rtol=1e-6
  )


def test_fit_accepts_few_rows_and_constant_inputs():
  targets = np.array([[1.0], [3]])
  regression = ridge.fit(np.ones((2, 3)), targets, np.zeros(2, int))
  np.testing.assert_allclose(regression.predict(np.ones((1, 3))), 2)
  # In float32, the mean of 60,000 values of 0.1 is not 0.1.
  inputs, groups = make(60_000)
  still = np.concatenate([inputs, np.full((60_000, 2), 0.1)], 1)
  regression = ridge.fit(still, inputs[:, :1], groups)
  still = still[:50]
  moved = still + [0, 0, 0, 1e-3, 0]
  np.testing.assert_allclose(
      regression.predict(moved), regression.predict(still), atol=2e-3
  )


def test_arrays_that_cannot_be_fitted_are_refused():
  inputs, groups = make(8)
  with pytest.raises(
      ValueError, match=r'same number of rows, got \[8, 7, 8, 8\]'
  ):
    ridge.fit(inputs, inputs[:7], groups)
  with pytest.raises(ValueError, match='all 8 weights are 0'):
    ridge.fit(inputs, inputs, groups, weights=np.zeros(8))
  inputs[3] = np.nan
  with pytest.raises(ValueError, match='inputs must be finite, got 1 rows'):
    ridge.fit(inputs, np.zeros((8, 1)), groups)
