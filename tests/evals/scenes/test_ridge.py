"""The closed-form readout: against plain algebra, and what it must ignore."""

import numpy as np
import pytest

from rvm_jax.evals.scenes import ridge


def make(num=400, width=3, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(num, width)), np.arange(num) // 4


def spread(x, y):
  """Share of the variance of y that x leaves."""
  return np.square(x - y).mean() / y.var()


def test_learns_lines_and_curves():
  inputs, groups = make()
  line = inputs @ np.array([[1.0, 2], [0, -1], [3, 0]]) + [5, -7]
  curve = np.sin(1.5 * inputs[:, :1])
  found = ridge.fit(inputs, np.concatenate([line, curve], 1), groups)
  new, _ = make(seed=1)
  new = np.clip(new, -1.5, 1.5)
  answers = found.predict(new.reshape(100, 4, 3)).reshape(400, 3)
  assert answers.dtype == np.float32
  truth = new @ np.array([[1.0, 2], [0, -1], [3, 0]]) + [5, -7]
  assert spread(answers[:, :2], truth) < 1e-3
  assert spread(answers[:, 2], np.sin(1.5 * new[:, 0])) < 0.05


def expand(found, inputs):
  """As the docstring says, in float64, with a column of ones."""
  x = (inputs - found.mean) / found.scale / inputs.shape[1] ** 0.5
  fourier = np.cos(x @ found.frequencies + found.phases)
  fourier *= (2 / fourier.shape[1]) ** 0.5
  return np.concatenate([x, fourier, np.ones((len(x), 1))], 1)


def solve(x, targets, weights, penalty):
  """By the normal equations; the last column is not held down."""
  penalty = np.diag([penalty * weights.sum()] * (x.shape[1] - 1) + [0])
  heavy = x.T * weights
  return np.linalg.solve(heavy @ x + penalty, heavy @ targets)


def test_is_what_ridge_regression_is():
  """And the penalty is that which cross-validation by hand finds."""
  inputs, groups = make(200)
  rng = np.random.default_rng(2)
  # Two kinds of rows, of which the heavy ones are hard to fit.
  weights = np.where(np.arange(200) % 8 < 4, 10.0, 0.1)
  noise = rng.normal(size=(200, 1)) * (weights > 1)
  targets = inputs[:, :1] ** 2 + inputs[:, 1:2] + 3 * noise
  found = ridge.fit(inputs, targets, groups, weights=weights)
  x = expand(found, inputs)
  folds = np.random.default_rng(0).permutation(50)[groups] % 4
  errors = []
  for exponent in range(2, -8, -1):
    off = 0
    for fold in range(4):
      out = folds == fold
      # What is left out counts in the sum of weights alone.
      share = 10.0**exponent * weights.sum() / weights[~out].sum()
      fit = solve(x[~out], targets[~out], weights[~out], share)
      off += weights[out] @ np.square(x[out] @ fit - targets[out]).sum(1)
    errors.append(off)
  best = 10.0 ** (2 - int(np.argmin(errors)))
  wanted = np.clip(
      x @ solve(x, targets, weights, best), targets.min(), targets.max()
  )
  np.testing.assert_allclose(found.predict(inputs), wanted, atol=2e-3)
  # Another choice would be seen.
  unlike = x @ solve(x, targets, np.ones(200), best)
  assert np.abs(unlike - wanted).max() > 0.1


def test_a_robust_fit_is_iteratively_reweighted_least_squares():
  inputs, groups = make(300)
  targets = inputs[:, :1] + np.random.default_rng(5).standard_t(1.5, (300, 1))
  found = ridge.fit(inputs, targets, groups, huber_threshold=0.1)
  x = expand(found, inputs)

  def reweight(penalty):
    weights = np.ones(300)
    for _ in range(3):
      fit = solve(x, targets, weights, penalty)
      weights = 1 / np.maximum(np.abs(x @ fit - targets)[:, 0], 0.1)
    return fit

  answers = found.predict(inputs)
  off = [np.abs(x @ reweight(10.0**n) - answers).max() for n in range(-7, 3)]
  assert min(off) < 2e-3
  plain = ridge.fit(inputs, targets, groups).predict(inputs)
  assert np.abs(plain - answers).max() > 0.1


def test_numbers_of_groups_mean_nothing():
  """A condition that goes with the number of a clip is not left out whole."""
  rng = np.random.default_rng(6)
  groups = np.arange(400)
  kind = groups % 4
  inputs = np.eye(4)[kind] + 0.1 * rng.normal(size=(400, 4))
  targets = np.array([[0.0], [1], [5], [-3]])[kind]
  found = ridge.fit(inputs, targets, groups)
  assert np.abs(found.predict(inputs) - targets).mean() < 0.3
  apart = ridge.fit(inputs, targets, 1000 * groups + 7)
  np.testing.assert_array_equal(found.coefficients, apart.coefficients)


def test_noise_is_not_fitted():
  inputs, groups = make(300, 40)
  noise = np.random.default_rng(3).normal(size=(300, 1))
  found = ridge.fit(inputs, noise, groups)
  assert found.predict(inputs).std() < 0.3
  assert abs(found.predict(inputs).mean() - noise.mean()) < 0.02


def test_groups_are_not_split():
  """Rows that are alike within a group teach nothing of other groups."""
  rng = np.random.default_rng(4)
  groups = np.repeat(np.arange(80), 5)
  inputs = rng.normal(size=(80, 30))[groups]
  targets = rng.normal(size=(80, 1))[groups]
  apart = ridge.fit(inputs, targets, groups).predict(inputs)
  mixed = ridge.fit(inputs, targets, np.arange(400)).predict(inputs)
  assert apart.std() < 0.3 < 0.8 < mixed.std()


def test_rows_of_no_weight_do_not_count():
  inputs, groups = make()
  targets = inputs[:, :1].copy()
  weights = np.ones(400)
  weights[::3] = 0
  plain = ridge.fit(inputs, targets, groups, weights=weights)
  inputs[::3], targets[::3] = 50, np.nan
  other = ridge.fit(inputs, targets, groups, weights=weights)
  for a, b in zip(plain, other, strict=True):
    np.testing.assert_array_equal(a, b)


def test_a_robust_fit_leaves_what_nothing_explains():
  inputs, groups = make()
  targets = inputs[:, :1].copy()
  targets[::5] = 40
  new, _ = make(seed=1)
  off = lambda fitted: np.abs(fitted.predict(new) - new[:, :1]).mean()
  plain = ridge.fit(inputs, targets, groups)
  robust = ridge.fit(inputs, targets, groups, huber_threshold=0.01)
  assert off(plain) > 5 and off(robust) < 1


def test_answers_stay_within_what_was_seen():
  inputs, groups = make()
  found = ridge.fit(inputs, inputs[:, :1], groups)
  far = found.predict(np.array([[1e3, 0, 0], [-1e3, 0, 0]]))
  np.testing.assert_allclose(
      far[:, 0], [inputs[:, 0].max(), inputs[:, 0].min()], rtol=1e-6
  )


def test_few_rows_and_constant_inputs_are_no_harm():
  found = ridge.fit(np.ones((2, 3)), np.array([[1.0], [3]]), np.zeros(2, int))
  np.testing.assert_allclose(found.predict(np.ones((1, 3))), 2)
  # The mean of so many in float32 is not .1.
  inputs, groups = make(60_000)
  still = np.concatenate([inputs, np.full((60_000, 2), 0.1)], 1)
  found = ridge.fit(still, inputs[:, :1], groups)
  still = still[:50]
  moved = still + [0, 0, 0, 1e-3, 0]
  np.testing.assert_allclose(
      found.predict(moved), found.predict(still), atol=2e-3
  )


def test_wrong_input():
  inputs, groups = make(8)
  with pytest.raises(ValueError, match=r'a row each, got \[8, 7, 8, 8\]'):
    ridge.fit(inputs, inputs[:7], groups)
  with pytest.raises(ValueError, match='all 8 weights are 0'):
    ridge.fit(inputs, inputs, groups, weights=np.zeros(8))
  inputs[3] = np.nan
  with pytest.raises(ValueError, match='inputs must be finite, got 1 rows'):
    ridge.fit(inputs, np.zeros((8, 1)), groups)
