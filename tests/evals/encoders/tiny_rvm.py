"""Makes a tiny RVM and random frames for tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.models import rvm

MODEL = rvm.RVM(
    width=16,
    encoder_layers=1,
    encoder_heads=2,
    encoder_mlp=32,
    core_layers=1,
    core_heads=2,
    core_mlp=32,
    decoder_layers=0,
    patch=8,
)


@functools.cache
def make_params():
  """Returns parameters sampled from a normal distribution.

  Newly initialized parameters are not used: some are zeros, with which the
  features would not depend on the recurrent state.
  """
  init = functools.partial(MODEL.init, method='encode')
  frames = jnp.zeros((1, 1, 16, 24, 3))
  shapes = jax.eval_shape(init, jax.random.key(0), frames)['params']
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda x: np.float32(rng.normal(0, 0.2, x.shape)), shapes)


def make_frames() -> np.ndarray:
  """Returns three random videos of seven frames, uint8 [3, 7, 16, 24, 3]."""
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 7, 16, 24, 3), np.uint8)
