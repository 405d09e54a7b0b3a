"""Tiny transformer blocks, with inputs and parameters, for tests."""

import jax
import jax.numpy as jnp
import numpy as np

SIZES = dict(
    num_heads=2, mlp_width=12, dtype=jnp.dtype('float32'), attention='xla'
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 5, 8)).astype(np.float32)  # [B, K, N, D]
CONTEXT = RNG.normal(size=(2, 7, 8)).astype(np.float32)  # [B, M, D]


def init(module, *inputs):
  """Returns parameters whose biases are not 0 and whose scales are not 1."""
  params = jax.jit(module.init)(jax.random.key(0), *inputs)['params']
  rng = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: np.float32(x + rng.normal(size=x.shape, scale=0.3)), params
  )
