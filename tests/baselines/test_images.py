"""The part that image models share, with tokens without positions."""

import flax.linen as nn
import jax
import numpy as np
import pytest

from rvm_jax.baselines import images


class Encoder(images.ImageEncoder):
  """Three prefix tokens, and tokens of patches without positions."""

  @nn.compact
  def __call__(self, frames):
    prefix = [self.add_tokens('cls', 1), self.add_tokens('registers', 2)]
    return self.transform(prefix, self.embed(frames))


MODEL = Encoder(
    width=8,
    depth=2,
    num_heads=2,
    mlp_width=12,
    gated=False,
    num_registers=2,
    biases=('out', 'mlp'),
    patch=4,
    epsilon=1e-6,
)
FRAMES = np.random.default_rng(0).normal(size=(2, 3, 8, 12, 3))
FRAMES = FRAMES.astype(np.float32)


def test_each_frame_is_encoded_on_its_own_with_prefix_tokens_first():
  params = jax.jit(MODEL.init)(jax.random.key(0), FRAMES)
  tokens = MODEL.apply(params, FRAMES)
  assert tokens.shape == (2 * 3, MODEL.num_prefix + 2 * 3, 8)
  alone = MODEL.apply(params, FRAMES[1:, 1:2])
  np.testing.assert_allclose(tokens[4:5], alone, atol=1e-6)
  # Without positions, patches in another order give tokens in that order.
  blocks = FRAMES.reshape(2, 3, 2, 4, 12, 3)[:, :, ::-1].reshape(FRAMES.shape)
  swapped = MODEL.apply(params, blocks)
  rows = tokens[:, 3:].reshape(6, 2, 3, 8)[:, ::-1].reshape(6, 6, 8)
  np.testing.assert_allclose(swapped[:, 3:], rows, atol=1e-5)
  np.testing.assert_allclose(swapped[:, :3], tokens[:, :3], atol=1e-5)


def test_sides_must_be_multiples_of_the_patch():
  with pytest.raises(ValueError, match='10'):
    MODEL.init(jax.random.key(0), np.zeros((1, 1, 10, 8, 3), np.float32))
