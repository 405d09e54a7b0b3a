"""Patches become tokens by a convolution; blocks ignore the tokens' order."""

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.models import vit
from rvm_jax.ops import patches

FLOAT = jnp.dtype('float32')


def test_tokenizer_equals_a_strided_convolution():
  images = np.random.default_rng(0).random((2, 8, 12, 3), np.float32)
  positions = np.random.default_rng(1).random((6, 5), np.float32)
  tokenizer = vit.Tokenizer(width=5, patch=4, dtype=FLOAT)
  inputs = patches.patchify(images, 4), positions
  params = tokenizer.init(jax.random.key(0), *inputs)['params']
  conv = params['patch_embedding']['Conv_0']
  conv['bias'] = jnp.arange(5.0)
  expected = jax.lax.conv_general_dilated(
      images,
      conv['kernel'][0],
      (4, 4),
      'VALID',
      None,
      None,
      ('NHWC', 'HWIO', 'NHWC'),
  )  # [B, rows, columns, D]
  found = tokenizer.apply({'params': params}, *inputs)
  expected = expected.reshape(2, 6, 5) + np.arange(5.0)[None, None]
  np.testing.assert_allclose(found, expected + positions[None], atol=1e-5)


def test_vision_transformer_permutes_with_its_tokens():
  tokens = np.random.default_rng(0).random((2, 6, 8), np.float32)
  encoder = vit.VisionTransformer(
      num_layers=2,
      num_heads=2,
      mlp_width=12,
      dtype=FLOAT,
      attention='xla',
      remat='none',
  )
  variables = encoder.init(jax.random.key(0), tokens)
  assert variables['params'].keys() == {'layers_0', 'layers_1', 'LayerNorm_0'}
  order = np.random.default_rng(1).permutation(6)
  found = encoder.apply(variables, tokens[:, order])
  expected = encoder.apply(variables, tokens)[:, order]
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert abs(found - expected[:, ::-1]).max() > 0.1
