"""All but vectors are cast to the model's dtype."""

import jax.numpy as jnp

from rvm_jax.training.objectives import casting


def test_matrices_are_cast_and_vectors_stay_in_float32():
  params = {'kernel': jnp.ones((2, 3)), 'bias': jnp.ones(3)}
  found = casting.cast(params, 'bfloat16')
  assert found['kernel'].dtype == jnp.bfloat16
  assert found['bias'].dtype == jnp.float32
