"""Attention by cuDNN's fused kernels, which keep no scores, for NVIDIA GPUs."""

from typing import Any

import jax
import jax.numpy as jnp

# For training, cuDNN needs numbers of queries and of keys that are multiples of
# this number.
_MULTIPLE = 64


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, num_heads: int
) -> jax.Array:
  """Computes attention by `jax.nn.dot_product_attention` with cuDNN.

  Queries, keys and values are padded with zeros to multiples of 64 tokens.
  cuDNN is told the true lengths, and ignores the padding.

  Args:
    query: queries, [B, Q, D], heads side by side, in a 16-bit dtype.
    key: keys, [B, M, D].
    value: values, [B, M, D].
    num_heads: number of heads, a divisor of D. The width of a head must be a
      multiple of 8, and at most 128.

  Returns:
    Weighted means of the values, [B, Q, D], in the dtype of the values.
  """
  batch, num_queries, width = query.shape
  num_keys = key.shape[1]
  mixed = jax.nn.dot_product_attention(
      *(_split(x, num_heads) for x in (query, key, value)),
      query_seq_lengths=jnp.full(batch, num_queries, jnp.int32),
      key_value_seq_lengths=jnp.full(batch, num_keys, jnp.int32),
      implementation='cudnn',
  )
  return mixed[:, :num_queries].reshape(batch, num_queries, width)


def is_forward(primitive: Any, *_: Any, **__: Any) -> bool:
  """Returns whether a primitive of JAX is the forward pass of cuDNN.

  This function is a policy of `jax.checkpoint`. It keeps the arrays that the
  backward pass needs besides queries, keys and values. JAX gives these arrays
  no names, by which another policy could keep them.

  Args:
    primitive: the primitive, a `jax.extend.core.Primitive`. Other arguments of
      a policy are ignored.
  """
  return primitive.name.startswith('dot_product_attention_fwd')


def _split(x, num_heads):
  """Maps [B, N, D] to [B, N', heads, D / heads], where N' is N padded."""
  padding = -x.shape[1] % _MULTIPLE
  x = jnp.pad(x, ((0, 0), (0, padding), (0, 0)))
  return x.reshape(*x.shape[:2], num_heads, -1)
