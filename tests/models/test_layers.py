"""The transformer blocks against an implementation in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.models import layers
from rvm_jax.weights import trees
from tests.models import tiny_blocks

SIZES = tiny_blocks.SIZES
X = tiny_blocks.X  # [B, K, N, D]
CONTEXT = tiny_blocks.CONTEXT  # [B, M, D]


def apply(module, params, *inputs):
  return jax.jit(module.apply)({'params': params}, *inputs)


def norm(p, x):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6)
  return x * p['scale'] + p['bias']


def attend(p, x, context):
  """Attention of x [Q, D] to context [M, D], one head after the other."""
  query, key, value = (
      np.einsum('nd,dhw->hnw', y, p[name]['kernel']) + p[name]['bias'][:, None]
      for name, y in (('query', x), ('key', context), ('value', context))
  )
  heads = []
  for q, k, v in zip(query, key, value, strict=True):
    scores = np.exp(q @ k.T / np.sqrt(q.shape[-1]))
    heads.append(scores / scores.sum(-1, keepdims=True) @ v)
  return np.einsum('hnw,hwd->nd', heads, p['out']['kernel']) + p['out']['bias']


def mlp(p, x):
  x = x @ p['dense_in']['kernel'] + p['dense_in']['bias']
  x = x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
  return x @ p['dense_out']['kernel'] + p['dense_out']['bias']


def test_block_equals_numpy():
  block = layers.Block(**SIZES)
  p = tiny_blocks.init(block, X[0])
  for x, found in zip(X[0], apply(block, p, X[0]), strict=True):
    y = norm(p['attention_norm'], x)
    x = x + attend(p['attention'], y, y)
    x = x + mlp(p['mlp'], norm(p['mlp_norm'], x))
    np.testing.assert_allclose(found, x, atol=1e-5)


def test_cross_block_equals_numpy_group_by_group():
  block = layers.CrossBlock(**SIZES)
  p = tiny_blocks.init(block, X, CONTEXT)
  found = apply(block, p, X, CONTEXT)
  for b, k in np.ndindex(2, 3):
    y = norm(p['ca_attention_norm'], X[b, k])
    x = X[b, k] + attend(p['ca_attention'], y, CONTEXT[b])
    x = x + mlp(p['mlp'], norm(p['mlp_norm'], x))
    y = norm(p['attention_norm'], x)
    x = x + attend(p['attention'], y, y)
    np.testing.assert_allclose(found[b, k], x, atol=1e-5)


def test_cross_transformer_equals_its_blocks_and_a_norm():
  stack = layers.CrossTransformer(num_layers=2, remat='none', **SIZES)
  p = tiny_blocks.init(stack, X, CONTEXT)
  x, block = X, layers.CrossBlock(**SIZES)
  for name in 'xa_blocks_0', 'xa_blocks_1':
    x = apply(block, p[name], x, CONTEXT)
  expected = norm(p['output_norm'], np.asarray(x))
  np.testing.assert_allclose(apply(stack, p, X, CONTEXT), expected, atol=1e-5)


def test_bias_of_keys_changes_nothing_and_alone_has_no_gradient():
  attention = layers.Attention(
      num_heads=2, dtype='float32', implementation='xla'
  )
  p = tiny_blocks.init(attention, X[:, 0], CONTEXT)

  def compute(params):
    return attention.apply({'params': params}, X[:, 0], CONTEXT)

  other = p | {'key': p['key'] | {'bias': p['key']['bias'] + 3.0}}
  np.testing.assert_allclose(compute(other), compute(p), atol=1e-5)
  gradient = jax.grad(lambda p: jnp.square(compute(p)).sum())(p)
  zero = [name for name, x in trees.flatten(gradient).items() if not np.any(x)]
  assert zero == ['key/bias']


@pytest.mark.parametrize(
    'inputs, features', [((64,), (4, 16)), ((4, 16), (64,))]
)
def test_kernels_of_heads_are_initialised_as_matrices(inputs, features):
  dense = layers.HeadsDense(inputs, features, 'float32')
  params = dense.init(jax.random.key(0), jnp.zeros((1, 1, 64)))['params']
  assert params['kernel'].shape == inputs + features
  # Xavier's bound for 64 inputs and 64 outputs.
  bound = np.sqrt(6 / (64 + 64))
  assert 0.99 * bound < abs(params['kernel']).max() <= bound
