"""Integer masks to soft labels on the patch grid, and back.

Interpolation is what the released evaluation has from OpenCV, to the pixel.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image


def encode(
    mask: np.ndarray,
    label_map: Sequence[int],
    size: tuple[int, int],
    grid: tuple[int, int],
) -> np.ndarray:
  """Soft labels of the patches of one annotated frame.

  Args:
    mask: int [H, W], one number an object; the background is a label too.
    label_map: int [L], the numbers to encode; DAVIS takes np.unique(mask).
    size: height and width of the image that the encoder sees.
    grid: rows and columns of patches, h x w.

  Returns:
    float32 [h, w, L], each label's share, interpolated between the patches'
    centres.
  """
  rows, columns = (_nearest(old, new) for old, new in zip(mask.shape, size))
  resized = mask[rows[:, None], columns]
  one_hot = resized[..., None] == np.asarray(label_map)[None, None]
  return resize(one_hot.astype(np.float32), grid)


def decode(
    soft: np.ndarray,
    label_map: Sequence[int],
    size: tuple[int, int],
    shape: tuple[int, int],
) -> np.ndarray:
  """The most likely label of every pixel.

  Args:
    soft: float [T, h, w, L].
    label_map: int [L].
    size: height and width of the image that the encoder saw.
    shape: H and W of the masks wanted.

  Returns:
    [T, H, W], of the dtype of `label_map`.
  """
  label_map = np.asarray(label_map)
  masks = np.empty((len(soft), *shape), label_map.dtype)
  for frame, labels in enumerate(np.asarray(soft)):
    winner = Image.fromarray(resize(labels, size).argmax(-1).astype(np.int32))
    # Pillow's choice between equally near pixels is INTER_NEAREST_EXACT's.
    winner = winner.resize(shape[::-1], Image.Resampling.NEAREST)
    masks[frame] = label_map[np.asarray(winner)]
  return masks


def choose_objects(mask: np.ndarray, min_share: float) -> np.ndarray:
  """The objects that a frame shows well enough to follow them.

  Args:
    mask: uint8 [H, W], 0 the background.
    min_share: of the frame's pixels.

  Returns:
    int [O], their numbers, ascending.
  """
  area = np.bincount(mask.ravel(), minlength=256)
  area[0] = 0
  return np.flatnonzero(area >= max(1, min_share * mask.size))


def renumber(masks: np.ndarray, objects: np.ndarray) -> np.ndarray:
  """Uint8 masks with these objects numbered from 1, and all else 0."""
  table = np.zeros(256, np.uint8)
  table[objects] = 1 + np.arange(len(objects))
  return table[masks]


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Bilinear, pixel centres at one half, no antialiasing: float [H, W, C]."""
  for axis, (old, new) in enumerate(zip(image.shape, size)):
    at = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    low = np.minimum(at.astype(int), max(old - 2, 0))
    high = np.minimum(low + 1, old - 1)
    share = (at - low).astype(np.float32)
    share = share.reshape(-1, *(1,) * (image.ndim - 1 - axis))
    image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
  return image


def _nearest(old, new):
  """Indices of INTER_NEAREST, which maps pixel corners, not centres."""
  index = np.floor(np.arange(new) * (1 / (new / old))).astype(int)
  return np.minimum(index, old - 1)
