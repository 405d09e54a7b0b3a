"""The closed-form readout: against plain algebra, and what it must ignore."""

import numpy as np
import pytest

from rvm_jax.evals.readouts import ridge


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


def test_is_what_ridge_regression_is():
  inputs, groups = make(200)
  weights = np.random.default_rng(2).uniform(0.5, 2, 200)
  targets = inputs[:, :1] ** 2 + inputs[:, 1:2]
  found = ridge.fit(inputs, targets, groups, weights=weights)
  # In float64, by the normal equations with a column of ones.
  x = (inputs - found.center) / found.spread / 3**0.5
  waves = np.cos(x @ found.mixtures + found.phases)
  x = np.concatenate([x, waves * (2 / waves.shape[1]) ** 0.5], 1)
  x = np.concatenate([x, np.ones((200, 1))], 1)
  share = weights / weights.sum()

  def solve(decay):
    penalty = np.diag([decay] * (x.shape[1] - 1) + [0])
    return np.linalg.solve((x.T * share) @ x + penalty, (x.T * share) @ targets)

  wanted = [
      np.clip(x @ solve(10.0**-n), targets.min(), targets.max())
      for n in range(-2, 8)
  ]
  answers = found.predict(inputs)
  assert min(np.abs(answers - w).max() for w in wanted) < 1e-3


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
  robust = ridge.fit(inputs, targets, groups, softness=0.01)
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


def test_wrong_input():
  inputs, groups = make(8)
  with pytest.raises(ValueError, match=r'a row each, got \[8, 7, 8, 8\]'):
    ridge.fit(inputs, inputs[:7], groups)
  with pytest.raises(ValueError, match='all 8 weights are 0'):
    ridge.fit(inputs, inputs, groups, weights=np.zeros(8))
