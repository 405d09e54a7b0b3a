"""VideoMAE's parts. The tests of its objective check what the model may see."""

import jax
import numpy as np
import pytest

from rvm_jax.ops import patches
from rvm_jax.ops import positions
from tests.models import skipping
from tests.training.objectives import tiny_rivals

MODEL = tiny_rivals.make('videomae').model


@pytest.fixture(scope='module')
def params():
  frames = np.zeros((1, 4, 32, 32, 3), np.float32)
  place = np.zeros((1, 1), np.int32)
  init = jax.jit(MODEL.init)
  return init(jax.random.key(0), frames, place, place)['params']


def test_kernel_covers_tubelets_and_decoder_embedder_has_no_bias(params):
  kernel = params['encoder']['tokenizer']['patch_embedding']['Conv_0']['kernel']
  assert kernel.shape == (2, 8, 8, 3, 16)
  assert params['decoder_embedder'].keys() == {'kernel'}
  assert params['head']['kernel'].shape == (16, 2 * 8 * 8 * 3)


def test_encode_takes_other_sizes_of_frames(params):
  frames = np.zeros((1, 4, 16, 48, 3), np.uint8)
  found = MODEL.apply({'params': params}, frames, method='encode')
  assert found.shape == (1, 2, 12, 16)


def test_encode_equals_the_encoder_if_all_patches_are_visible(params):
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


def test_transformers_are_given_each_tubelet_with_its_own_place(params):
  frames = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3))
  frames = frames.astype(np.uint8)
  visible, hidden = np.array([[3, 9, 6]]), np.array([[5, 1]])
  with skipping.skip_transformers() as calls:
    found = MODEL.apply({'params': params}, frames, visible, hidden)
  table = positions.clip_table(4, 4, (2, 4, 4), 16)  # [t, N, D]
  (pixels, places), (queries,) = calls
  cut = patches.tubelets(frames, 8, 2)[:, :, visible[0]]
  np.testing.assert_array_equal(pixels, cut.reshape(1, 6, -1))
  seen = table[:, visible[0]].reshape(6, 16)
  np.testing.assert_array_equal(places[0], seen)
  narrow = skipping.apply_dense(params['decoder_embedder'], seen)
  np.testing.assert_allclose(queries[0, :6], narrow + seen, atol=1e-5)
  # The predictions are those of the hidden tubelets, step by step.
  expected = params['mask_token'] + table[:, hidden[0]].reshape(4, 16)
  expected = skipping.apply_dense(params['head'], expected)
  np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_encode_resizes_rows_and_columns_of_the_table(params):
  frames = np.zeros((1, 4, 16, 48, 3), np.uint8)
  with skipping.skip_transformers():
    found = MODEL.apply({'params': params}, frames, method='encode')
  expected = positions.clip_table(2, 6, (2, 4, 4), 16)
  np.testing.assert_array_equal(found[0], expected)
