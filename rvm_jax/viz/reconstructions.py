"""Frames that a model reconstructs from a few of their patches."""

from collections.abc import Mapping
import functools
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import numpy as np

from rvm_jax.ops import images
from rvm_jax.ops import masks
from rvm_jax.ops import patches as patches_lib

NUM_SOURCE, NUM_TARGET, MASK_RATIO = 4, 4, 0.95


class ReconstructedFrames(NamedTuple):
  """The first frames of a video, and the model's reconstruction of later ones.

  Attributes:
    source: frames 0 to 3, which the model sees whole, uint8 [4, H, W, 3].
    target: frames 4 to 7, uint8 [4, H, W, 3].
    visible: raster indices of the target patches that the model sees, int
      [4, V].
    pixels: reconstruction of the target frames, float [4, H, W, 3].
  """

  source: np.ndarray
  target: np.ndarray
  visible: np.ndarray
  pixels: np.ndarray


def reconstruct(
    model: nn.Module, params: Mapping[str, Any], frames: np.ndarray
) -> ReconstructedFrames | str:
  """Reconstructs frames 4 to 7 of a video from a few of their patches.

  The model sees frames 0 to 3 whole, and 5 % of the patches of frames 4 to 7.
  These patches are sampled with a fixed seed, so that they are the same for all
  videos of one size.

  Args:
    model: an RVM.
    params: parameters of the model.
    frames: uint8 [T, H, W, 3], with H and W multiples of the model's patch.

  Returns:
    The reconstruction; or a sentence that says why there is none, if the model
    has no decoder or the video fewer than eight frames.
  """
  if not model.decoder_layers:
    return (
        'Not available: this checkpoint holds the encoder and the recurrent'
        ' core alone, and reconstruction takes a decoder.'
    )
  needed = NUM_SOURCE + NUM_TARGET
  if len(frames) < needed:
    return f'Not available: {needed} frames are needed, {len(frames)} are here.'
  source, target = np.split(frames[:needed], [NUM_SOURCE])
  rows, columns = patches_lib.grid(*frames.shape[1:3], model.patch)
  visible = masks.sample_visible(
      jax.random.key(0),
      (NUM_TARGET,),
      rows * columns,
      masks.num_visible(rows * columns, MASK_RATIO),
  )
  deltas = np.arange(NUM_SOURCE, needed)
  # Target frames are reconstructed one after the other, because all at once
  # take much memory if they are large.
  pixels = [
      _apply(model, params, source, target[k], deltas[k], visible[k])
      for k in (slice(i, i + 1) for i in range(NUM_TARGET))
  ]
  return ReconstructedFrames(
      source, target, np.asarray(visible), np.concatenate(pixels)
  )


@functools.partial(jax.jit, static_argnums=0)
def _apply(model, params, source, target, deltas, visible):
  """Applies the model to one video, without the batch axis."""
  return model.apply(
      {'params': params},
      images.to_float(source[None]),
      images.to_float(target[None]),
      deltas[None],
      visible[None],
  )[0]
