"""The recurrent core against its equations, frame after frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.models import layers
from rvm_jax.models import recurrent

WIDTH = 8
SIZES = dict(num_layers=1, num_heads=2, mlp_width=12, attention='xla')
RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(2, 6, 5, WIDTH)).astype(np.float32)  # [B, T, M, D]
STATE = RNG.normal(size=(2, 5, WIDTH)).astype(np.float32)  # [B, M, D]


def make_core(dtype='float32'):
  return recurrent.GatedTransformerCore(
      WIDTH, dtype=jnp.dtype(dtype), remat='none', **SIZES
  )


@pytest.fixture(scope='module')
def params():
  """Parameters whose biases are not 0 and whose scales are not 1."""
  init = jax.jit(make_core().init)
  params = init(jax.random.key(0), TOKENS, STATE)['params']
  rng = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: np.float32(x + rng.normal(size=x.shape, scale=0.3)), params
  )


def apply(params, tokens, state, dtype='float32'):
  return jax.jit(make_core(dtype).apply)({'params': params}, tokens, state)


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def test_core_equals_its_equations_in_numpy(params):
  transformer = layers.CrossTransformer(
      dtype=jnp.dtype('float32'), remat='none', **SIZES
  )
  p, s = params, STATE
  found, last = apply(params, TOKENS, STATE)
  for t in range(TOKENS.shape[1]):
    e = TOKENS[:, t]
    u = sigmoid(
        e @ p['input_update']['kernel'] + s @ p['state_update']['kernel']
    )
    r = sigmoid(e @ p['input_reset']['kernel'] + s @ p['state_reset']['kernel'])
    normed = (s - s.mean(-1, keepdims=True)) / np.sqrt(
        s.var(-1, keepdims=True) + 1e-4
    )
    context = r * normed * p['state_layer_norm']['scale']
    c = transformer.apply({'params': p['transformer']}, e[:, None], context)
    s = (1 - u) * s + u * np.asarray(c)[:, 0]
    np.testing.assert_allclose(found[:, t], s, atol=1e-5)
  np.testing.assert_array_equal(found[:, -1], last)


def test_core_keeps_the_state_in_float32_with_bfloat16_products(params):
  found, last = apply(params, TOKENS, STATE, 'bfloat16')
  assert found.dtype == last.dtype == jnp.float32
  expected, _ = apply(params, TOKENS, STATE)
  assert 1e-4 < abs(found - expected).max() < 0.3


def test_update_gates_are_those_that_lead_to_the_states(params):
  zeros = np.zeros_like(STATE)
  states, _ = apply(params, TOKENS, zeros)
  found = make_core().apply(
      {'params': params}, TOKENS, states, method='update_gates'
  )
  for t in range(TOKENS.shape[1]):
    before = states[:, t - 1] if t else zeros
    expected = sigmoid(
        TOKENS[:, t] @ params['input_update']['kernel']
        + before @ params['state_update']['kernel']
    )
    np.testing.assert_allclose(found[:, t], expected, atol=1e-5)
