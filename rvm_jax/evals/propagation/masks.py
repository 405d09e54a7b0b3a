"""Masks as soft labels on the patch grid, as in the released evaluation.

The released evaluation resizes with OpenCV, whose interpolation is reproduced
here to the pixel (cells 11 to 25 of the notebook that `label_propagation`
names).
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
  """Turns the mask of one frame into soft labels of its patches.

  Args:
    mask: int [H, W], the number of an object in each pixel; the background has
      a number too.
    label_map: int [L], the numbers to encode. The released evaluation takes all
      numbers of the mask, np.unique(mask). Pixels with other numbers count
      towards no label.
    size: height and width in pixels of the frames that the encoder gets.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [h, w, L], each label's share of a patch: the mask at `size`, a
    channel for each label, interpolated at the centres of the patches.
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
  """Turns soft labels into masks: the label of highest share in each pixel.

  Args:
    soft: float [T, h, w, L], soft labels of all frames.
    label_map: int [L], the numbers of the labels.
    size: height and width in pixels of the frames that the encoder got.
    shape: height and width in pixels of the masks to return.

  Returns:
    [T, *shape] with the dtype of `label_map`. Of equal shares, the first label
    wins.
  """
  label_map = np.asarray(label_map)
  masks = np.empty((len(soft), *shape), label_map.dtype)
  for frame, labels in enumerate(np.asarray(soft)):
    winner = Image.fromarray(resize(labels, size).argmax(-1).astype(np.int32))
    # Pillow chooses the nearest pixel as OpenCV's INTER_NEAREST_EXACT does.
    winner = winner.resize(shape[::-1], Image.Resampling.NEAREST)
    masks[frame] = label_map[np.asarray(winner)]
  return masks


def choose_objects(mask: np.ndarray, min_share: float) -> np.ndarray:
  """Chooses the objects that cover enough of a frame.

  Args:
    mask: uint8 [H, W], the number of an object in each pixel, 0 for the
      background.
    min_share: the smallest share of the frame's pixels that is enough. Objects
      without any pixel are never chosen.

  Returns:
    int [O], the numbers of the chosen objects in ascending order.
  """
  area = np.bincount(mask.ravel(), minlength=256)
  area[0] = 0
  return np.flatnonzero(area >= max(1, min_share * mask.size))


def renumber(masks: np.ndarray, objects: np.ndarray) -> np.ndarray:
  """Numbers the chosen objects of masks from 1 on.

  Args:
    masks: uint8 [...], the number of an object in each pixel.
    objects: int [O], the numbers of the chosen objects.

  Returns:
    uint8 [...]: 1 + i in pixels of objects[i], 0 in all others.
  """
  table = np.zeros(256, np.uint8)
  table[objects] = 1 + np.arange(len(objects))
  return table[masks]


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Resizes an image by linear interpolation, like OpenCV's INTER_LINEAR.

  Pixel i has its centre at i + 0.5. There is no antialiasing when the image
  shrinks, and beyond the outermost centres the values stay constant.

  Args:
    image: float [H, W, C].
    size: the new height and width.

  Returns:
    float [*size, C].
  """
  for axis, (old, new) in enumerate(zip(image.shape, size)):
    # The place of each new pixel among the old ones, and the old pixels just
    # before and after it.
    place = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    low = np.minimum(place.astype(int), max(old - 2, 0))
    high = np.minimum(low + 1, old - 1)
    # The weight of the old pixel after the place, shaped to broadcast.
    share = (place - low).astype(np.float32)
    share = share.reshape(-1, *(1,) * (image.ndim - 1 - axis))
    image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
  return image


def _nearest(old, new):
  """Returns the old pixel for each new one, like OpenCV's INTER_NEAREST.

  It compares the pixels' upper left corners, not their centres.
  """
  index = np.floor(np.arange(new) * (1 / (new / old))).astype(int)
  return np.minimum(index, old - 1)
