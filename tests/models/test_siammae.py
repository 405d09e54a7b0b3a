"""SiamMAE's parts; what it sees is tested with its objective."""

import jax
import numpy as np

from tests.training.objectives import tiny_rivals

MODEL = tiny_rivals.make('siammae').model


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
