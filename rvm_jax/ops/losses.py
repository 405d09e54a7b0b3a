"""Training objectives."""

import jax
import jax.numpy as jnp


def pixel_mse(predicted: jax.Array, target: jax.Array) -> jax.Array:
  """Mean squared error over every pixel, shown or hidden.

  Args:
    predicted: float [B, K, H, W, 3].
    target: the same shape, in [0, 1].

  Returns:
    float32 [B], a loss a clip; no per-patch normalisation.
  """
  if predicted.shape != target.shape:
    raise ValueError(
        f'predicted {predicted.shape} and target {target.shape} differ in shape'
    )
  error = predicted.astype(jnp.float32) - target.astype(jnp.float32)
  return jnp.square(error).mean(axis=tuple(range(1, error.ndim)))
