"""The one contract of the evaluations: a feature function.

A feature function takes frames, uint8 [B, T, H, W, 3], and gives np.ndarray
float32 [B, T, h, w, D]: D numbers for each of h x w patches in every frame.
How pixels are scaled and what is carried over time are its own affair.
"""

from collections.abc import Callable

import numpy as np

from rvm_jax import streaming
from rvm_jax.models import rvm
from rvm_jax.ops import patches

FeatureFn = Callable[[np.ndarray], np.ndarray]


def raw_patches(frames: np.ndarray, patch: int) -> np.ndarray:
  """The floor: every patch's pixels in [0, 1], D = patch * patch * 3.

  Bind `patch` with functools.partial to make it a feature function.

  Raises:
    ValueError: frames are not uint8 [B, T, H, W, 3], or H or W is not a
      multiple of `patch`.
  """
  _check(frames)
  batch, time, height, width, _ = frames.shape
  grid = patches.grid(height, width, patch)
  pixels = patches.patchify(frames, patch).astype(np.float32) / 255
  return pixels.reshape(batch, time, *grid, -1)


def rvm_features(model: rvm.RVM, params, chunk: int = 16) -> FeatureFn:
  """The recurrent state after each frame, CLS dropped.

  The state runs through the whole video and is never reset.

  Args:
    model: RVM; H and W of the frames must be multiples of `model.patch`.
    params: its parameters.
    chunk: frames on the device at once.

  Returns:
    A feature function with D = model.width.
  """
  encoder = streaming.Encoder(model, params, chunk=chunk)

  def features(frames):
    _check(frames)
    return encoder(frames).patches

  return features


def _check(frames):
  if frames.dtype != np.uint8 or frames.ndim != 5 or frames.shape[-1] != 3:
    raise ValueError(
        'frames must be uint8 [B, T, H, W, 3], got'
        f' {frames.dtype} {frames.shape}'
    )
