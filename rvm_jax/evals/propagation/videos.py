"""What the benchmarks without training share: carrying labels on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import masks as masks_lib
from rvm_jax.viz import panels
from rvm_jax.viz import sheets

_NUM_SHOWN = 4  # Videos with a picture.
SHOWN_SIDE = 128, 256  # Pixels of a shown frame's longer side, from and to.


def encode(
    model: encoder_lib.FrozenEncoder, frames: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
  """Features of unit length of every patch of a video.

  Args:
    model: the encoder.
    frames: uint8 [T, H, W, 3].
    size: height and width to resize them to (Lanczos, the aspect ignored).

  Returns:
    float32 [T, h, w, D].
  """
  resized = np.stack(
      [
          Image.fromarray(frame).resize(size[::-1], Image.Resampling.LANCZOS)
          for frame in frames
      ]
  )
  return label_propagation.normalize(model.encode(resized[None]).patches[0])


def carry_masks(
    features: np.ndarray,
    mask: np.ndarray,
    label_map: np.ndarray,
    size: tuple[int, int],
    settings: Mapping[str, Any],
) -> np.ndarray:
  """Carries the mask of the first frame on through a video.

  Args:
    features: of `encode`.
    mask: int [H, W]. Pixels whose number is not in `label_map` say nothing.
    label_map: int [L], the numbers to carry.
    size: as for `encode`.
    settings: of `label_propagation.propagate`.

  Returns:
    [T, H, W] of the dtype of `label_map`, the first frame's own prediction
    included.
  """
  soft = masks_lib.encode(mask, label_map, size, features.shape[1:3])
  soft = label_propagation.propagate(features, soft, **settings)
  return masks_lib.decode(np.asarray(soft), label_map, size, mask.shape)


def choose_shown(num_videos: int) -> set[int]:
  """The videos that get a picture: a few, spread evenly over the list."""
  return set(np.linspace(0, num_videos - 1, _NUM_SHOWN).round().astype(int))


def draw_masks(
    frames: np.ndarray, true: np.ndarray, predicted: np.ndarray
) -> np.ndarray:
  """A sheet of a few frames, with true and predicted masks below.

  Args:
    frames: uint8 [T, H, W, 3].
    true, predicted: int [T, H, W].

  Returns:
    uint8 [height, width, 3].
  """
  small = panels.fit(frames, *SHOWN_SIDE)
  size = small.shape[2:0:-1]
  shrink = lambda masks: np.stack(
      [
          Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
          for mask in masks
      ]
  )
  return sheets.mask_sheet(
      small, {'truth': shrink(true), 'carried': shrink(predicted)}
  )
