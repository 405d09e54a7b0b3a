"""Attention of queries to keys and values."""

import jax
import jax.numpy as jnp
import numpy as np


def attend(
    query: jax.Array, key: jax.Array, value: jax.Array, implementation: str
) -> jax.Array:
  """Softmax attention; scores, softmax and its sum are in float32.

  'xla' keeps the heads before the tokens and divides by the softmax's sum after
  the product with the values: no pass over all scores that is not needed. On
  CPU `jax.nn.dot_product_attention` takes 1.5 to 2.3 times as long
  (benchmarks/README.md).

  Args:
    query: [B, Q, heads, C].
    key, value: [B, M, heads, C].
    implementation: 'xla' runs everywhere; 'cudnn' needs a GPU and a 16-bit
      dtype and does not hold the scores in memory.

  Returns:
    [B, Q, heads, C], of the queries' dtype.

  Raises:
    ValueError: another implementation.
  """
  if implementation == 'cudnn':
    return jax.nn.dot_product_attention(
        query, key, value, implementation='cudnn'
    )
  if implementation != 'xla':
    raise ValueError(
        f"attention must be 'xla' or 'cudnn', got {implementation!r}"
    )
  query, key, value = (x.swapaxes(1, 2) for x in (query, key, value))
  scores = jnp.einsum(
      'bhqc,bhmc->bhqm',
      query,
      key,
      preferred_element_type=jnp.float32,
  ) / np.sqrt(query.shape[-1]).astype(np.float32)
  top = jax.lax.stop_gradient(scores.max(-1, keepdims=True))
  weights = jnp.exp(scores - top)  # [B, heads, Q, M]
  mixed = jnp.einsum(
      'bhqm,bhmc->bhqc',
      weights.astype(value.dtype),
      value,
      preferred_element_type=jnp.float32,
  ) / weights.sum(-1, keepdims=True)
  return mixed.astype(value.dtype).swapaxes(1, 2)
