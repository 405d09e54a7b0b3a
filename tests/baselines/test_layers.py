"""The parts of the rivals' transformer block, one by one."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from rvm_jax.baselines import layers

X = np.random.default_rng(0).normal(size=(1, 5, 8)).astype(np.float32)


def init(module, *args):
  """Returns random parameters, of another size than initial ones."""
  shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
  rng = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: rng.normal(size=x.shape).astype(np.float32), shapes
  )


def dense(params, x):
  return x @ np.float64(params['kernel']) + np.float64(params['bias'])


def test_mlp_has_the_exact_gelu_or_a_gate():
  mlp = layers.MLP(6, False, True, jnp.float32)
  variables = init(mlp, X)
  params = variables['params']
  hidden = dense(params['up'], X)
  hidden = hidden * (1 + special.erf(hidden / np.sqrt(2))) / 2
  np.testing.assert_allclose(
      mlp.apply(variables, X), dense(params['down'], hidden), atol=2e-5
  )
  mlp = layers.MLP(6, True, True, jnp.float32)
  variables = init(mlp, X)
  params = variables['params']
  gate = dense(params['gate'], X)
  hidden = dense(params['up'], X) * gate / (1 + np.exp(-gate))
  np.testing.assert_allclose(
      mlp.apply(variables, X), dense(params['down'], hidden), atol=5e-5
  )


def test_norm_keeps_its_digits_where_the_mean_is_large():
  x = jnp.asarray(X) + 4096
  found = layers.LayerNorm(1e-6).apply(init(layers.LayerNorm(1e-6), x), x)
  params = init(layers.LayerNorm(1e-6), x)['params']
  y = np.float64(x) - np.float64(x).mean(-1, keepdims=True)
  y /= np.sqrt((y**2).mean(-1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(
      found, y * params['scale'] + params['bias'], atol=2e-3
  )


def test_block_has_the_parameters_that_it_is_asked_for():
  block = layers.Block(
      2, 6, 1e-6, jnp.float32, 'xla', biases=('value', 'mlp'), layer_scale=True
  )
  params = init(block, X)['params']
  assert set(params) == {
      'norm1', 'attention', 'scale1', 'norm2', 'mlp', 'scale2'
  }  # fmt: skip
  has_bias = {k for k, v in params['attention'].items() if 'bias' in v}
  assert has_bias == {'value'}
  plain = layers.Block(2, 6, 1e-6, jnp.float32, 'xla')
  assert set(init(plain, X)['params']) == {'norm1', 'attention', 'norm2', 'mlp'}


@pytest.mark.parametrize('size', [(4, 4), (2, 4, 4)])
def test_patch_embedding_equals_a_convolution(size):
  frames = np.random.default_rng(2).normal(size=(2, 4, 12, 8, 3))
  frames = frames.astype(np.float32)
  embed = layers.PatchEmbedding(5, size, jnp.float32)
  variables = init(embed, frames)
  convolve = nn.Conv(5, size, strides=size, padding='VALID')
  # Convolutions take any number of axes before those of their windows.
  expected = convolve.apply(variables, frames)
  np.testing.assert_allclose(
      embed.apply(variables, frames), expected, atol=1e-4
  )


@pytest.mark.parametrize(
    'shape, size, message',
    [
        ((1, 1, 8, 9, 3), (4, 4), 'width must be a positive multiple'),
        ((1, 3, 8, 8, 3), (2, 4, 4), 'must be a positive multiple of 2, got 3'),
        ((1, 0, 8, 8, 3), (2, 4, 4), 'must be a positive multiple of 2, got 0'),
        ((1, 8, 8, 3), (4, 4), r'got the shape \(1, 8, 8, 3\)'),
        ((1, 1, 8, 8, 4), (4, 4), r'got the shape \(1, 1, 8, 8, 4\)'),
    ],
)
def test_frames_must_have_whole_patches(shape, size, message):
  embed = layers.PatchEmbedding(4, size, jnp.float32)
  with pytest.raises(ValueError, match=message):
    embed.init(jax.random.key(0), jnp.zeros(shape))
