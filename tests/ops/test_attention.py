"""Attention against JAX's own, and against a definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import attention


def draw(dtype=jnp.float32, scale=1.0):
  rng = np.random.default_rng(0)
  shapes = (2, 5, 3, 8), (2, 7, 3, 8), (2, 7, 3, 8)
  return [jnp.asarray(scale * rng.normal(size=s), dtype) for s in shapes]


@pytest.mark.parametrize(
    'scale', [1.0, 30.0]
)  # 30: the softmax would overflow.
def test_equals_the_definition(scale):
  q, k, v = (np.float64(x) for x in draw(scale=scale))
  scores = np.einsum('bqhc,bmhc->bhqm', q, k) / np.sqrt(8)
  scores -= scores.max(-1, keepdims=True)
  weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
  expected = np.einsum('bhqm,bmhc->bqhc', weights, v)
  found = attention.attend(*draw(scale=scale), 'xla')
  assert found.shape == (2, 5, 3, 8) and found.dtype == jnp.float32
  np.testing.assert_allclose(found, expected, atol=2e-5 * scale)


def test_gradients_equal_those_of_jax():
  def loss(attend):
    return lambda *x: (attend(*x) ** 2).sum()

  ours = jax.grad(loss(lambda *x: attention.attend(*x, 'xla')), (0, 1, 2))
  theirs = jax.grad(loss(jax.nn.dot_product_attention), (0, 1, 2))
  for found, expected in zip(ours(*draw()), theirs(*draw())):
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_softmax_of_bfloat16_is_float32():
  found = attention.attend(*draw(jnp.bfloat16), 'xla')
  assert found.dtype == jnp.bfloat16
  exact = attention.attend(
      *(x.astype(jnp.float32) for x in draw(jnp.bfloat16)), 'xla'
  )
  # Rounding of the weights and of the result, and no more.
  np.testing.assert_allclose(np.float32(found), exact, rtol=0.01, atol=0.008)


def test_an_unknown_implementation_is_refused():
  with pytest.raises(ValueError, match="'xla' or 'cudnn', got 'flash'"):
    attention.attend(*draw(), 'flash')
