"""Pixels as features: a baseline without any learned parameters."""

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.ops import patches as patches_lib


def make(patch: int) -> encoder_lib.FrozenEncoder:
  """Returns an encoder whose features are the pixels of each patch.

  Args:
    patch: P, side of a patch in pixels. The features have D = P * P * 3
      channels: the values of the patch's pixels, scaled to [0, 1].
  """
  # Levels are looked up because XLA replaces a division by 255 with a
  # multiplication, which does not round to the nearest float.
  levels = np.arange(256, dtype=np.float32) / 255

  def apply(levels, frames, state):
    batch, time, height, width, _ = frames.shape
    grid = patches_lib.grid(height, width, patch)
    patches = levels[patches_lib.patchify(frames, patch)]
    patches = patches.reshape(batch, time, *grid, -1)
    return encoder_lib.FrameFeatures(patches, None), state

  return encoder_lib.from_apply(
      'raw pixels',
      f'raw:{patch}',
      patch,
      apply,
      levels,
      scaling='RGB in [0, 1]',
  )
