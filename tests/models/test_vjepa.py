"""V-JEPA's parts; what it sees is tested with its objective."""

import jax
import numpy as np

from tests.training.objectives import tiny_rivals

MODEL = tiny_rivals.make('vjepa').model


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
