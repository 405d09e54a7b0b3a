"""Terms of the losses of the readout heads."""

import jax
import jax.numpy as jnp


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
  """Averages each example's values over the entries that count.

  Args:
    values: float [B, ...]. NaN is allowed where the entry does not count.
    mask: whether an entry counts, bool of the shape of `values`.

  Returns:
    float32 [B]; 0 for an example in which nothing counts.
  """
  axes = tuple(range(1, values.ndim))
  total = jnp.where(mask, values, 0).sum(axes)
  return total / jnp.maximum(mask.sum(axes), 1)


def huber(error: jax.Array, delta: float) -> jax.Array:
  """Computes the Huber loss: error^2 / 2 below `delta`, linear above.

  Args:
    error: absolute error, float of any shape, at least 0.
    delta: error at which the loss becomes linear.

  Returns:
    float of the shape of `error`.
  """
  return jnp.where(
      error < delta, jnp.square(error) / 2, delta * (error - delta / 2)
  )


def binary_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Computes the sigmoid cross entropy of logits.

  Args:
    logits: log odds that the label is True, float of any shape.
    labels: bool of the shape of `logits`.

  Returns:
    float of the shape of `logits`.
  """
  return jax.nn.softplus(jnp.where(labels, -logits, logits))


def generalised_iou(true: jax.Array, predicted: jax.Array) -> jax.Array:
  """Computes the generalised IoU of boxes (Rezatofighi et al., CVPR 2019).

  Value and gradient are finite for any finite prediction.

  Args:
    true: ground-truth boxes, float [..., 4], as (x0, y0, x1, y1), with sides
      above 0.
    predicted: predicted boxes, float [..., 4], in the same units. A negative
      side counts as 0.

  Returns:
    float [...] in [-1, 1].
  """
  sides = jnp.maximum(predicted[..., 2:] - predicted[..., :2], 0)
  low = jnp.maximum(true[..., :2], predicted[..., :2])
  high = jnp.minimum(true[..., 2:], predicted[..., 2:])
  intersection = jnp.maximum(high - low, 0).prod(-1)
  area = (true[..., 2:] - true[..., :2]).prod(-1)
  union = area + sides.prod(-1) - intersection
  # The hull is the smallest box around both. It is never smaller than the
  # union but for rounding, which the maximum removes.
  low = jnp.minimum(true[..., :2], predicted[..., :2])
  high = jnp.maximum(true[..., 2:], predicted[..., 2:])
  hull = jnp.maximum((high - low).prod(-1), union)
  return intersection / union - (hull - union) / hull
