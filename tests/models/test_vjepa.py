"""V-JEPA's parts. The tests of its objective check what the model may see."""

import jax
import numpy as np
import pytest

from rvm_jax.ops import patches
from rvm_jax.ops import positions
from tests.models import skipping
from tests.training.objectives import tiny_rivals

OBJECTIVE = tiny_rivals.make('vjepa')
MODEL = OBJECTIVE.model


@pytest.fixture(scope='module')
def params():
  return skipping.draw_params(OBJECTIVE)


def test_predictor_returns_to_the_width_of_the_encoder():
  frames = np.zeros((1, 4, 32, 32, 3), np.float32)
  mask = np.arange(6)[None], np.arange(6, 16)[None]
  (found,), variables = jax.eval_shape(
      MODEL.init_with_output, jax.random.key(0), frames, [mask]
  )
  assert found.shape == (1, 2 * 10, 16)
  params = variables['params']
  assert params['mask_tokens'].shape == (2, 16)
  kernel = params['encoder']['tokenizer']['patch_embedding']['Conv_0']['kernel']
  assert kernel.shape == (2, 8, 8, 3, 16)


def test_transformers_are_given_each_tubelet_with_its_own_place(params):
  frames = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3))
  frames = frames.astype(np.uint8)
  masks = [(np.array([[3, 9, 6]]), np.array([[5, 1]]))]
  masks += [(np.array([[2]]), np.array([[11, 4]]))]
  with skipping.skip_transformers() as calls:
    found = MODEL.apply({'params': params}, frames, masks)
  table = positions.sincos((2, 4, 4), (2, 4, 4), 16).reshape(2, 16, 16)
  for kind, (visible, hidden) in enumerate(masks):
    (pixels, places), (queries,) = calls[2 * kind : 2 * kind + 2]
    cut = patches.tubelets(frames, 8, 2)[:, :, visible[0]]
    np.testing.assert_array_equal(pixels, cut.reshape(pixels.shape))
    seen = table[:, visible[0]].reshape(-1, 16)
    np.testing.assert_array_equal(places[0], seen)
    narrow = skipping.apply_dense(params['predictor_embedder'], seen)
    np.testing.assert_allclose(
        queries[0, : len(seen)], narrow + seen, atol=1e-5
    )
    # The predictions are those of the hidden tubelets, step by step.
    expected = params['mask_tokens'][kind] + table[:, hidden[0]].reshape(4, 16)
    expected = skipping.apply_dense(params['head'], expected)
    np.testing.assert_allclose(found[kind][0], expected, atol=1e-4)


def test_encode_takes_clips_of_other_sizes(params):
  frames = np.zeros((1, 6, 16, 48, 3), np.uint8)
  with skipping.skip_transformers():
    found = MODEL.apply({'params': params}, frames, method='encode')
  expected = positions.sincos((3, 2, 6), (2, 4, 4), 16).reshape(3, 12, 16)
  np.testing.assert_array_equal(found[0], expected)
