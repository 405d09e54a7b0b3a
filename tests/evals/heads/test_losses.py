"""Tests terms of losses by hand, and against scikit-learn."""

import jax
import numpy as np
from sklearn import metrics

from rvm_jax.evals.heads import losses


def test_masked_mean_averages_what_counts_in_each_example():
  values = np.array([[1, 2, np.nan], [3, 5, 7], [9, 9, 9]], np.float32)
  mask = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 0]], bool)
  np.testing.assert_allclose(losses.masked_mean(values, mask), [1.5, 5, 0])


def test_huber_is_linear_beyond_delta():
  np.testing.assert_allclose(
      losses.huber(np.array([0.0, 2, 4, 5]), 4.0), [0, 2, 8, 12]
  )


def test_binary_cross_entropy_agrees_with_scikit_learn():
  logits = np.random.default_rng(0).normal(0, 3, 20).astype(np.float32)
  labels = np.arange(20) % 3 == 0
  np.testing.assert_allclose(
      losses.binary_cross_entropy(logits, labels).mean(),
      metrics.log_loss(labels, 1 / (1 + np.exp(-logits.astype(float)))),
      rtol=1e-5,
  )


def test_generalised_iou_of_hand_worked_boxes_has_finite_gradients():
  true = np.array([0, 0, 4, 2], np.float32)
  for predicted, wanted in (
      ((0, 0, 4, 2), 1),
      ((2, 0, 6, 2), 4 / 12),  # They fill the hull.
      ((4, 2, 8, 4), -16 / 32),  # They share a corner; the hull is 8 x 4.
      ((1, 0, 2, 1), 1 / 8),
      ((6, 0, 5, 2), -2 / 10),  # Negative side, no area; the hull is 5 x 2.
      ((3, 0, 1, 2), 0),
  ):
    predicted = np.array(predicted, np.float32)
    found = losses.generalised_iou(true, predicted)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    gradient = jax.grad(losses.generalised_iou, 1)(true, predicted)
    assert np.isfinite(gradient).all()
