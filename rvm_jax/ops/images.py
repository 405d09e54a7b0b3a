"""Converts the pixel values of images."""

from typing import TypeVar

import jax
import numpy as np

Array = TypeVar('Array', np.ndarray, jax.Array)


def to_float(images: Array) -> Array:
  """Converts images to floats in [0, 1], the range that the models take.

  Args:
    images: array of any shape, on the host or on a device: integers in 0..255,
      or floats that are in [0, 1] already.

  Returns:
    For integers, float32 values divided by 255; floats are returned unchanged.
  """
  if np.issubdtype(images.dtype, np.integer):
    return images.astype(np.float32) / 255
  return images
