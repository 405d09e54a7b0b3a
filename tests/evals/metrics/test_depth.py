"""Tests depth scores by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from rvm_jax.evals.metrics import depth


def test_score_and_pool_of_hand_worked_frames():
  true = np.array([[[1, 2], [4, 0]], [[2, 0], [0, np.nan]], [[0, 0], [0, 0]]])
  predicted = np.array([[[1, 3], [3, 7]], [[2.5, 7], [0, 0]], [[1, 1], [1, 1]]])
  found = depth.score(true, predicted)
  # In the second frame 2.5 is exactly 1.25 times 2, which is not less.
  np.testing.assert_allclose(found['abs_rel'], [0.25, 0.25, np.nan])
  np.testing.assert_allclose(found['delta_1'], [1 / 3, 0, np.nan])
  np.testing.assert_array_equal(found['num_pixels'], [3, 1, 0])
  pooled = depth.pool(found)
  np.testing.assert_allclose(pooled['abs_rel'], 0.25)
  np.testing.assert_allclose(pooled['delta_1'], 1 / 4)


def test_abs_rel_agrees_with_scikit_learn():
  rng = np.random.default_rng(0)
  true = rng.uniform(-1, 8, (3, 4, 5, 6))
  predicted = rng.uniform(0.1, 8, true.shape)
  known = true > 0
  pooled = depth.pool(depth.score(true, predicted))
  np.testing.assert_allclose(
      pooled['abs_rel'],
      metrics.mean_absolute_percentage_error(true[known], predicted[known]),
  )


def test_pool_is_nan_without_known_depth():
  unknown = np.zeros((2, 3, 3))
  found = depth.pool(depth.score(unknown, unknown))
  assert np.isnan([*found.values()]).all()


def test_delta_1_treats_too_far_and_too_near_alike():
  true = np.full((1, 1), 2.0)
  for factor, wanted in ((1.24, 1), (1 / 1.24, 1), (1.26, 0), (1 / 1.26, 0)):
    assert depth.score(true, factor * true)['delta_1'] == wanted


def test_score_refuses_shapes_that_differ():
  with pytest.raises(ValueError, match=r'got \(2, 3\) and \(3, 2\)'):
    depth.score(np.ones((2, 3)), np.ones((3, 2)))
