"""Losses against a few lines of numpy."""

import jax
import numpy as np
import pytest

from rvm_jax.ops import losses


def test_pixel_mse_is_the_mean_over_all_but_the_batch():
  rng = np.random.default_rng(0)
  a, b = rng.random((2, 3, 2, 16, 16, 3))
  expected = [((a[i] - b[i]) ** 2).mean() for i in range(3)]
  np.testing.assert_allclose(losses.pixel_mse(a, b), expected, rtol=1e-6)


def test_pixel_mse_refuses_to_broadcast():
  with pytest.raises(ValueError, match='differ in shape'):
    losses.pixel_mse(np.zeros((1, 2, 4, 4, 3)), np.zeros((1, 1, 4, 4, 3)))


def test_moments_are_those_of_numpy_with_the_unbiased_variance():
  pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7), np.uint8)
  mean, variance = losses.moments(pixels, 1)
  np.testing.assert_allclose(
      mean, (pixels / 255).mean(1, keepdims=True), rtol=1e-5
  )
  np.testing.assert_allclose(
      variance, (pixels / 255).var(1, ddof=1, keepdims=True), rtol=1e-5
  )


def test_hidden_mse_is_the_mean_over_everything():
  a, b = np.random.default_rng(0).random((2, 3, 4, 5))
  np.testing.assert_allclose(
      losses.hidden_mse(a, b), ((a - b) ** 2).mean(), rtol=1e-6
  )


def test_feature_l1_normalises_the_targets_alone():
  a, b = np.random.default_rng(0).normal(2, 3, (2, 4, 5, 8))
  normal = b - b.mean(-1, keepdims=True)
  normal /= np.sqrt(normal.var(-1, keepdims=True) + 1e-5)
  np.testing.assert_allclose(
      losses.feature_l1(a, b), np.abs(a - normal).mean(), rtol=1e-5
  )


def test_feature_l1_has_no_gradient_by_the_targets():
  a, b = np.random.default_rng(0).normal(2, 3, (2, 4, 8)).astype(np.float32)
  by_predicted, by_target = jax.grad(losses.feature_l1, (0, 1))(a, b)
  assert by_predicted.all() and not by_target.any()


@pytest.mark.parametrize('loss', [losses.hidden_mse, losses.feature_l1])
def test_losses_of_hidden_patches_refuse_to_broadcast(loss):
  with pytest.raises(ValueError, match='differ in shape'):
    loss(np.zeros((1, 2, 4)), np.zeros((1, 1, 4)))
