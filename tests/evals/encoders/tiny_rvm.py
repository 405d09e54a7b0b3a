"""A tiny RVM and frames for it."""

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
  """Parameters from a normal distribution.

  Fresh parameters hold zeros, which would hide what is carried over time.
  """
  init = functools.partial(MODEL.init, method='encode')
  frames = jnp.zeros((1, 1, 16, 24, 3))
  shapes = jax.eval_shape(init, jax.random.key(0), frames)['params']
  rng = np.random.default_rng(1)
  return jax.tree.map(lambda x: np.float32(rng.normal(0, 0.2, x.shape)), shapes)


def make_frames() -> np.ndarray:
  """Three videos of seven frames: uint8 [3, 7, 16, 24, 3]."""
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 7, 16, 24, 3), np.uint8)
