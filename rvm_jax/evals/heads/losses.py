"""What the heads' losses are made of."""

import jax
import jax.numpy as jnp


def mean_counted(values: jax.Array, counted: jax.Array) -> jax.Array:
  """The mean of an example's values that count, 0 where none does.

  Args:
    values: float [B, ...].
    counted: bool, of the same shape.

  Returns:
    float32 [B].
  """
  axes = tuple(range(1, values.ndim))
  total = jnp.where(counted, values, 0).sum(axes)
  return total / jnp.maximum(counted.sum(axes), 1)


def huber(error: jax.Array, delta: float) -> jax.Array:
  """error^2 / 2 up to `delta`, then a line; of errors that are >= 0."""
  return jnp.where(
      error < delta, jnp.square(error) / 2, delta * (error - delta / 2)
  )


def binary_entropy(logits: jax.Array, is_true: jax.Array) -> jax.Array:
  """Sigmoid cross entropy of logits with bool truths of the same shape."""
  return jax.nn.softplus(jnp.where(is_true, -logits, logits))


def generalised_iou(true: jax.Array, predicted: jax.Array) -> jax.Array:
  """GIoU of boxes (Rezatofighi et al., CVPR 2019), whatever is predicted.

  Args:
    true: float [..., 4], (x0, y0, x1, y1), of some area.
    predicted: of the same shape and units; sides below 0 count as 0.

  Returns:
    float [...], in [-1, 1].
  """
  sides = jnp.maximum(predicted[..., 2:] - predicted[..., :2], 0)
  low = jnp.maximum(true[..., :2], predicted[..., :2])
  high = jnp.minimum(true[..., 2:], predicted[..., 2:])
  both = jnp.maximum(high - low, 0).prod(-1)
  either = (true[..., 2:] - true[..., :2]).prod(-1) + sides.prod(-1) - both
  low = jnp.minimum(true[..., :2], predicted[..., :2])
  high = jnp.maximum(true[..., 2:], predicted[..., 2:])
  hull = jnp.maximum((high - low).prod(-1), either)
  return both / either - (hull - either) / hull
