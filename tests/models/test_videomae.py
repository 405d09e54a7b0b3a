"""VideoMAE's encoder; what it sees is tested with its objective."""

import jax
import numpy as np
import pytest

from tests.training.objectives import tiny_rivals

MODEL = tiny_rivals.make('videomae').model


@pytest.fixture(scope='module')
def params():
  frames = np.zeros((1, 4, 32, 32, 3), np.float32)
  place = np.zeros((1, 1), np.int32)
  init = jax.jit(MODEL.init)
  return init(jax.random.key(0), frames, place, place)['params']


def test_kernel_covers_tubelets_and_the_decoder_has_no_bias_before_it(params):
  kernel = params['encoder']['tokenizer']['patch_embedding']['Conv_0']['kernel']
  assert kernel.shape == (2, 8, 8, 3, 16)
  assert params['decoder_embedder'].keys() == {'kernel'}
  assert params['head']['kernel'].shape == (16, 2 * 8 * 8 * 3)


def test_encode_takes_other_sizes_of_frames(params):
  frames = np.zeros((1, 4, 16, 48, 3), np.uint8)
  found = MODEL.apply({'params': params}, frames, method='encode')
  assert found.shape == (1, 2, 12, 16)


def test_encoder_of_all_tubelets_is_that_of_visible_ones(params):
  # With every patch visible, in order, both ways give one set of tokens.
  frames = np.random.default_rng(0).random((1, 4, 32, 32, 3), np.float32)
  found = MODEL.apply({'params': params}, frames, method='encode')
  _, seen = MODEL.apply(
      {'params': params},
      frames,
      np.arange(16)[None],
      np.zeros((1, 0), np.int32),
      capture_intermediates=lambda module, _: module.name == 'encoder',
  )
  (tokens,) = seen['intermediates']['encoder']['__call__']
  np.testing.assert_allclose(found.reshape(tokens.shape), tokens, atol=1e-5)
