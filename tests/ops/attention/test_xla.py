"""Attention by array operations against its definition in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops.attention import xla
from tests.ops.attention import definition


def attend_with_gradients(query, key, value, gradient, num_heads):
  def attend(*inputs):
    return xla.attend(*inputs, num_heads)

  out, pull_back = jax.vjp(attend, query, key, value)
  return out, *pull_back(gradient)


# At a scale of 30 the exponentials of the scores overflow float32.
@pytest.mark.parametrize('scale', [1.0, 30.0])
@pytest.mark.parametrize('num_queries, num_keys', [(5, 7), (1, 1), (13, 257)])
def test_attend_equals_the_definition(num_queries, num_keys, scale):
  *inputs, gradient = definition.sample(
      0, num_queries, num_keys, 3, 8, jnp.float32
  )
  inputs = [scale * x for x in inputs]
  found = attend_with_gradients(*inputs, gradient, 3)
  assert found[0].shape == inputs[0].shape and found[0].dtype == jnp.float32
  expected = definition.attend(*inputs, gradient, 3)
  for x, y in zip(found, expected, strict=True):
    np.testing.assert_allclose(x, y, atol=1e-4 * scale if scale > 1 else 2e-6)


@pytest.mark.parametrize('limit', [1, 2 * 3 * 7 * 2, 2 * 3 * 7 * 3])
def test_attend_in_blocks_of_queries_equals_all_at_once(monkeypatch, limit):
  arrays = definition.sample(0, 5, 7, 3, 8, jnp.float32)
  expected = attend_with_gradients(*arrays, 3)
  monkeypatch.setattr(xla, 'MAX_SCORES', limit)
  found = attend_with_gradients(*arrays, 3)
  for x, y in zip(found, expected, strict=True):
    np.testing.assert_allclose(x, y, atol=1e-6)


def test_attend_bounds_its_memory_at_any_number_of_queries(monkeypatch):
  monkeypatch.setattr(xla, 'MAX_SCORES', 2**20)
  shape = jax.ShapeDtypeStruct((1, 4096, 16), jnp.float32)

  def loss(*inputs):
    return xla.attend(*inputs, 2).sum()

  compiled = jax.jit(jax.grad(loss, (0, 1, 2))).lower(*[shape] * 3).compile()
  # All scores are 2 * 4096**2 * 4 = 134 MB.
  assert compiled.memory_analysis().temp_size_in_bytes < 4 * 2**20 * 4


def test_attend_in_bfloat16_rounds_only_the_weights_and_the_result():
  inputs = definition.sample(0, 5, 7, 3, 8, jnp.bfloat16)[:3]
  found = xla.attend(*inputs, 3)
  assert found.dtype == jnp.bfloat16
  exact = xla.attend(*(x.astype(jnp.float32) for x in inputs), 3)
  np.testing.assert_allclose(np.float32(found), exact, rtol=0.01, atol=0.008)


def test_attend_in_float64_rounds_nothing_to_float32():
  inputs = definition.sample(0, 5, 7, 3, 8, jnp.float32)
  expected = definition.attend(*inputs, 3)[0]
  with jax.enable_x64():
    found = xla.attend(*[np.asarray(x, np.float64) for x in inputs[:3]], 3)
    assert found.dtype == jnp.float64
  np.testing.assert_allclose(found, expected, atol=1e-14)


def test_blocks_are_as_many_as_the_whole_batch_needs(monkeypatch):
  # Two queries, of 2 sequences with 3 heads and 7 keys, have as many scores.
  monkeypatch.setattr(xla, 'MAX_SCORES', 2 * 2 * 3 * 7)
  inputs = definition.sample(0, 5, 7, 3, 8, jnp.float32)[:3]
  jaxpr = str(jax.make_jaxpr(lambda *x: xla.attend(*x, 3))(*inputs))
  assert jaxpr.count('length=3') == 1


def test_products_of_bfloat16_have_float32_sums():
  inputs = definition.sample(0, 5, 7, 3, 8, jnp.bfloat16)[:3]
  jaxpr = str(jax.make_jaxpr(lambda *x: xla.attend(*x, 3))(*inputs))
  assert jaxpr.count('dot_general[') == 2
  assert jaxpr.count('preferred_element_type=float32') == 2


def test_symbolic_numbers_of_tokens_attend_at_once():
  shape = jax.ShapeDtypeStruct(
      jax.export.symbolic_shape('b, n, 24'), jnp.float32
  )
  found = jax.eval_shape(lambda *x: xla.attend(*x, 3), shape, shape, shape)
  assert found.shape == shape.shape


def test_weights_are_those_that_attend_mixes_values_with():
  query, key, value, _ = definition.sample(0, 5, 7, 3, 8, jnp.float32)
  weights = xla.weigh(query, key, 3)
  assert weights.shape == (*query.shape[:1], 3, 5, 7)
  np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
  heads = value.reshape(*value.shape[:2], 3, -1)
  mixed = np.einsum('bhqm,bmhc->bqhc', weights, heads).reshape(query.shape)
  np.testing.assert_allclose(mixed, xla.attend(query, key, value, 3), atol=1e-6)
