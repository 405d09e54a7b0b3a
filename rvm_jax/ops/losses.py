"""Losses of pretraining."""

import jax
import jax.numpy as jnp


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
  if predicted.shape != target.shape:
    raise ValueError(
        f'predicted {predicted.shape} and target {target.shape} differ in shape'
    )
  error = predicted.astype(jnp.float32) - target.astype(jnp.float32)
  return jnp.square(error).mean(axis=tuple(range(1, error.ndim)))
