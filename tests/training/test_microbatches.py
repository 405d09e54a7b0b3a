"""Gradients in parts equal the gradient of the whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.training import microbatches


def loss(params, rows):
  return jnp.square(rows @ params).mean()


@pytest.mark.parametrize('num_parts', [1, 2, 3, 6])
def test_accumulate_returns_the_means_over_the_parts(num_parts):
  rng = np.random.default_rng(0)
  params, rows = rng.normal(size=3), rng.normal(size=(6, 3))
  value_and_grad = jax.value_and_grad(loss)
  found = microbatches.accumulate(value_and_grad, params, (rows,), num_parts)
  expected = np.square(rows @ params).mean(), 2 * (rows @ params) @ rows / 6
  for x, y in zip(found, expected, strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-5)
