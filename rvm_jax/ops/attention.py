"""Scaled dot-product attention."""

import jax
import jax.numpy as jnp
import numpy as np


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, implementation: str
) -> jax.Array:
  """Computes softmax attention, with float32 scores and softmax.

  The implementation 'xla' is 1.5 to 2.3 times as fast on CPU as
  `jax.nn.dot_product_attention` (benchmarks/README.md), because it makes fewer
  passes over the scores: it keeps the heads before the tokens, and divides by
  the softmax's sum only after the product with the values.

  Args:
    query: queries, [B, Q, heads, C].
    key: keys, [B, M, heads, C].
    value: values, [B, M, heads, C].
    implementation: 'xla', which runs on every device, or 'cudnn', which does
      not keep the scores in memory but needs a GPU and a 16-bit dtype.

  Returns:
    Weighted means of the values, [B, Q, heads, C], in the dtype of the values.

  Raises:
    ValueError: `implementation` is neither 'xla' nor 'cudnn'.
  """
  if implementation == 'cudnn':
    return jax.nn.dot_product_attention(
        query, key, value, implementation='cudnn'
    )
  if implementation != 'xla':
    raise ValueError(
        f"attention must be 'xla' or 'cudnn', got {implementation!r}"
    )
  # The heads go before the tokens: [B, heads, Q or M, C].
  query, key, value = (x.swapaxes(1, 2) for x in (query, key, value))
  scores = jnp.einsum(
      'bhqc,bhmc->bhqm',
      query,
      key,
      preferred_element_type=jnp.float32,
  ) / np.sqrt(query.shape[-1]).astype(np.float32)
  # Subtracting the largest score keeps the exponential finite. The subtracted
  # value cancels in the quotient below, so it needs no gradient.
  top = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
  weights = jnp.exp(scores - top)  # [B, heads, Q, M]
  mixed = jnp.einsum(
      'bhqm,bhmc->bhqc',
      weights.astype(value.dtype),
      value,
      preferred_element_type=jnp.float32,
  ) / weights.sum(-1, keepdims=True)
  return mixed.astype(value.dtype).swapaxes(1, 2)
