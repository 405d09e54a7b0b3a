"""Frames that a model paints from a few of their patches."""

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


class Reconstruction(NamedTuple):
  """The first frames of a video, and what a model made of the later ones.

  Attributes:
    source: uint8 [T, H, W, 3], frames 0 to 3.
    target: uint8 [K, H, W, 3], frames 4 to 7.
    visible: int [K, V], raster indices of the patches that were shown of each.
    pixels: float [K, H, W, 3], the targets as painted.
  """

  source: np.ndarray
  target: np.ndarray
  visible: np.ndarray
  pixels: np.ndarray


def paint(
    model: nn.Module, params: Mapping[str, Any], frames: np.ndarray
) -> Reconstruction | str:
  """Paints frames 4 to 7 from frames 0 to 3 and 5 % of their own patches.

  Which patches are shown depends on nothing but their number.

  Args:
    model: an RVM.
    params: its parameters.
    frames: uint8 [T, H, W, 3]; H and W multiples of the patch.

  Returns:
    The reconstruction; or, where there can be none, a sentence why.
  """
  if not model.decoder_layers:
    return (
        'There are none: this checkpoint holds the encoder and the core alone,'
        ' and painting takes a decoder.'
    )
  needed = NUM_SOURCE + NUM_TARGET
  if len(frames) < needed:
    return (
        f'There are none: {needed} frames are needed, {len(frames)} are here.'
    )
  source, target = np.split(frames[:needed], [NUM_SOURCE])
  rows, columns = patches_lib.grid(*frames.shape[1:3], model.patch)
  visible = masks.sample_visible(
      jax.random.key(0),
      (NUM_TARGET,),
      rows * columns,
      masks.num_visible(rows * columns, MASK_RATIO),
  )
  deltas = np.arange(NUM_SOURCE, needed)
  # One after the other: together, large frames need much memory.
  pixels = [
      _apply(model, params, source, target[k], deltas[k], visible[k])
      for k in (slice(i, i + 1) for i in range(NUM_TARGET))
  ]
  return Reconstruction(
      source, target, np.asarray(visible), np.concatenate(pixels)
  )


@functools.partial(jax.jit, static_argnums=0)
def _apply(model, params, source, target, deltas, visible):
  return model.apply(
      {'params': params},
      images.to_float(source)[None],
      images.to_float(target)[None],
      deltas[None],
      visible[None],
  )[0]
