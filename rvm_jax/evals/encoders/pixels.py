"""Pixels as features: a baseline without any learned parameters."""

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.ops import images
from rvm_jax.ops import patches as patches_lib


def make(patch: int) -> encoder_lib.FrozenEncoder:
  """Returns an encoder whose features are the pixels of each patch.

  Args:
    patch: P, side of a patch in pixels. The features have D = P * P * 3
      channels: the values of the patch's pixels, scaled to [0, 1].
  """

  def apply(params, frames, state):
    del params
    batch, time, height, width, _ = frames.shape
    grid = patches_lib.grid(height, width, patch)
    pixels = patches_lib.patchify(images.to_float(frames), patch)
    patches = pixels.reshape(batch, time, *grid, -1)
    return encoder_lib.FrameFeatures(patches, None), state

  return encoder_lib.from_apply(
      'raw pixels', f'raw:{patch}', patch, apply, (), scaling='RGB in [0, 1]'
  )
