"""Losses of pretraining."""

import jax
import jax.numpy as jnp

from rvm_jax.ops import images


def pixel_mse(predicted: jax.Array, target: jax.Array) -> jax.Array:
  """Computes the mean squared error over all pixels, visible and hidden.

  The pixels are not normalised per patch.

  Args:
    predicted: predicted pixels of the target frames, float [B, K, H, W, 3], or
      those of their patches, [B, K, N, P * P * 3].
    target: target pixels of the same shape, float in [0, 1].

  Returns:
    The loss of each sample, float32 [B].

  Raises:
    ValueError: the two shapes differ.
  """
  _check_shapes(predicted, target)
  error = predicted.astype(jnp.float32) - target.astype(jnp.float32)
  return jnp.square(error).mean(axis=tuple(range(1, error.ndim)))


def moments(pixels: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
  """Returns the mean and the unbiased variance of pixels along an axis.

  The axis is kept with size 1.

  Args:
    pixels: uint8, or float in [0, 1], of any shape.
    axis: axis over which mean and variance are taken.
  """
  pixels = images.to_float(pixels)
  return (
      pixels.mean(axis, keepdims=True),
      pixels.var(axis, keepdims=True, ddof=1),
  )


def hidden_mse(predicted: jax.Array, target: jax.Array) -> jax.Array:
  """Computes the mean squared error over all values, float32 [].

  Args:
    predicted: predicted values of the hidden patches, of any shape.
    target: true values of the hidden patches, of the same shape.

  Raises:
    ValueError: the two shapes differ.
  """
  _check_shapes(predicted, target)
  error = predicted.astype(jnp.float32) - target.astype(jnp.float32)
  return jnp.square(error).mean()


def feature_l1(predicted: jax.Array, target: jax.Array) -> jax.Array:
  """Computes V-JEPA's loss, float32 [].

  It is the mean absolute difference between predictions and targets. Before the
  difference is taken, each target vector is normalised to mean 0 and variance 1
  over its channels. No gradient reaches the targets.

  Args:
    predicted: predicted features, [..., D].
    target: features as the target encoder returns them, [..., D].

  Raises:
    ValueError: the two shapes differ.
  """
  _check_shapes(predicted, target)
  target = jax.nn.standardize(
      jax.lax.stop_gradient(target.astype(jnp.float32)), epsilon=1e-5
  )
  return jnp.abs(predicted.astype(jnp.float32) - target).mean()


def _check_shapes(predicted, target):
  """Raises ValueError unless both have one shape."""
  if predicted.shape != target.shape:
    raise ValueError(
        f'predicted {predicted.shape} and target {target.shape} differ in shape'
    )
