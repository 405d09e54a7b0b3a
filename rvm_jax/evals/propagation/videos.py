"""Videos through label propagation: features of patches in, masks out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.propagation import label_propagation
from rvm_jax.evals.propagation import masks as masks_lib


def encode(
    model: encoder_lib.FrozenEncoder, frames: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
  """Resizes the frames of a video and encodes them.

  Frames are resized with the Lanczos filter, whatever their aspect ratio, as in
  the released evaluation.

  Args:
    model: the encoder.
    frames: uint8 [T, H, W, 3], all frames of the video.
    size: height and width in pixels of the frames that the encoder gets.

  Returns:
    float32 [T, h, w, D], the features of all patches, scaled to unit length.
  """
  resized = np.stack(
      [
          Image.fromarray(frame).resize(size[::-1], Image.Resampling.LANCZOS)
          for frame in frames
      ]
  )
  return label_propagation.normalize(model.encode(resized[None]).patches[0])


def propagate_masks(
    features: np.ndarray,
    mask: np.ndarray,
    label_map: np.ndarray,
    size: tuple[int, int],
    settings: Mapping[str, Any],
) -> np.ndarray:
  """Propagates the mask of the first frame through a video.

  Args:
    features: float [T, h, w, D], features of unit length, such as `encode`
      returns.
    mask: int [H, W], the first frame's mask. A pixel with a number that is not
      in `label_map` supports no label.
    label_map: int [L], the numbers to propagate.
    size: height and width in pixels of the frames that were encoded.
    settings: keyword arguments of `label_propagation.propagate`.

  Returns:
    [T, H, W] with the dtype of `label_map`: the predicted mask of every frame,
    the first one included.
  """
  soft = masks_lib.encode(mask, label_map, size, features.shape[1:3])
  soft = label_propagation.propagate(features, soft, **settings)
  return masks_lib.decode(np.asarray(soft), label_map, size, mask.shape)
