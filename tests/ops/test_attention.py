"""Attention against that of JAX and against its definition in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import attention


def sample_inputs(dtype=jnp.float32, scale=1.0):
  rng = np.random.default_rng(0)
  shapes = (2, 5, 3, 8), (2, 7, 3, 8), (2, 7, 3, 8)
  return [jnp.asarray(scale * rng.normal(size=s), dtype) for s in shapes]


# At a scale of 30 the exponentials of the scores overflow float32.
@pytest.mark.parametrize('scale', [1.0, 30.0])
def test_attend_equals_the_definition_in_float64(scale):
  q, k, v = (np.float64(x) for x in sample_inputs(scale=scale))
  scores = np.einsum('bqhc,bmhc->bhqm', q, k) / np.sqrt(8)
  scores -= scores.max(-1, keepdims=True)
  weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
  expected = np.einsum('bhqm,bmhc->bqhc', weights, v)
  found = attention.attend(*sample_inputs(scale=scale), 'xla')
  assert found.shape == (2, 5, 3, 8) and found.dtype == jnp.float32
  np.testing.assert_allclose(found, expected, atol=2e-5 * scale)


def test_attend_has_the_gradients_of_dot_product_attention():
  def gradients(attend):
    def loss(*inputs):
      return (attend(*inputs) ** 2).sum()

    return jax.grad(loss, (0, 1, 2))(*sample_inputs())

  ours = gradients(functools.partial(attention.attend, implementation='xla'))
  theirs = gradients(jax.nn.dot_product_attention)
  for found, expected in zip(ours, theirs, strict=True):
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_attend_in_bfloat16_rounds_only_the_weights_and_the_result():
  inputs = sample_inputs(jnp.bfloat16)
  found = attention.attend(*inputs, 'xla')
  assert found.dtype == jnp.bfloat16
  exact = attention.attend(*(x.astype(jnp.float32) for x in inputs), 'xla')
  np.testing.assert_allclose(np.float32(found), exact, rtol=0.01, atol=0.008)


def test_attend_refuses_an_unknown_implementation():
  with pytest.raises(ValueError, match="'xla' or 'cudnn', got 'flash'"):
    attention.attend(*sample_inputs(), 'flash')
