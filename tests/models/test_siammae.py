"""SiamMAE's parts. The tests of its objective check what the model may see."""

import jax
import numpy as np
import pytest

from rvm_jax.ops import patches
from rvm_jax.ops import positions
from tests.models import skipping
from tests.training.objectives import tiny_rivals

OBJECTIVE = tiny_rivals.make('siammae')
MODEL = OBJECTIVE.model


@pytest.fixture(scope='module')
def params():
  return skipping.draw_params(OBJECTIVE)


def test_source_and_targets_share_one_encoder():
  frame = np.zeros((1, 32, 32, 3), np.float32)
  place = np.zeros((1, 1, 1), np.int32)
  params = jax.eval_shape(
      MODEL.init, jax.random.key(0), frame, frame[:, None], place, place
  )['params']
  assert params.keys() == {
      'encoder',
      'mask_token',
      'decoder_embedder',
      'decoder',
      'head',
  }
  assert params['head']['kernel'].shape == (16, 8 * 8 * 3)


def test_transformers_are_given_each_patch_with_its_own_place(params):
  rng = np.random.default_rng(0)
  source, *target = rng.integers(0, 256, (3, 1, 32, 32, 3), np.uint8)
  visible, hidden = np.array([[3, 9, 6], [12, 0, 8]]), np.array(
      [[5, 1], [4, 7]]
  )
  with skipping.skip_transformers() as calls:
    found = MODEL.apply(
        {'params': params},
        source,
        np.stack(target, 1),
        visible[None],
        hidden[None],
    )
  table = np.asarray(positions.encoder_table(4, 4, 16))
  where = positions.sinusoid(16, 16)
  # The encoder gets the source frame as a whole, and the visible patches of the
  # targets. The decoder attends to the encoded source frame.
  (patches_0, table_0), (patches_1, table_1), (_, context) = calls
  np.testing.assert_array_equal(patches_0, patches.patchify(source, 8))
  np.testing.assert_array_equal(table_0, table)
  cut = patches.patchify(np.concatenate(target), 8)
  np.testing.assert_array_equal(
      patches_1, np.take_along_axis(cut, visible[..., None], 1)
  )
  np.testing.assert_array_equal(table_1, table[visible])
  narrow = skipping.apply_dense(params['decoder_embedder'], table)
  np.testing.assert_allclose(context[0], narrow, atol=1e-5)
  # Predictions are those of hidden places.
  expected = params['mask_token'] + where[hidden]
  expected = skipping.apply_dense(params['head'], expected)
  np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_encode_takes_other_sizes_of_frames(params):
  frames = np.zeros((2, 16, 48, 3), np.uint8)
  with skipping.skip_transformers():
    found = MODEL.apply({'params': params}, frames, method='encode')
  np.testing.assert_array_equal(found[1], positions.encoder_table(2, 6, 16))
