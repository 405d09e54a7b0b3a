"""Converts masks to soft labels on the patch grid, and back.

The conversion is that of the released evaluation (cells 11 to 25 of the
notebook that `label_propagation` names). It resizes with OpenCV; the functions
here return the same masks without OpenCV.
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
  """Converts the mask of one frame to soft labels of its patches.

  The mask is resized to the size of the encoder's frames, one-hot encoded, and
  interpolated linearly at the centres of the patches.

  Args:
    mask: int [H, W], the number of the object in each pixel. The background is
      an object too, with a number of its own.
    label_map: int [L], the object number that each of the L label channels
      stands for. The released evaluation passes np.unique(mask), all numbers in
      the mask. Pixels with other numbers are 0 in all channels.
    size: height and width in pixels of the frames that the encoder gets.
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [h, w, L], labels in [0, 1].
  """
  # Choose the pixels that OpenCV's nearest-neighbour resizing would choose.
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
  """Converts soft labels of a video to masks.

  The labels are interpolated linearly at the pixels of the encoder's frames.
  Each pixel gets the object whose label is the highest there, or the first in
  `label_map` of several equally high ones. The mask is then resized to `shape`.

  Args:
    soft: float [T, h, w, L], soft labels of all frames.
    label_map: int [L], the object number that each of the L label channels
      stands for.
    size: height and width in pixels of the frames that the encoder got.
    shape: height and width in pixels of the masks to return.

  Returns:
    The number of the object in each pixel, [T, *shape], with the dtype of
    `label_map`.
  """
  label_map = np.asarray(label_map)
  masks = np.empty((len(soft), *shape), label_map.dtype)
  for frame, labels in enumerate(np.asarray(soft)):
    winner = Image.fromarray(resize(labels, size).argmax(-1).astype(np.int32))
    # Pillow's NEAREST chooses the same pixels as OpenCV's INTER_NEAREST_EXACT.
    winner = winner.resize(shape[::-1], Image.Resampling.NEAREST)
    masks[frame] = label_map[np.asarray(winner)]
  return masks


def choose_objects(mask: np.ndarray, min_share: float) -> np.ndarray:
  """Chooses the objects that cover at least a given share of a frame.

  Args:
    mask: uint8 [H, W], the number of the object in each pixel, 0 for the
      background, which is never chosen.
    min_share: smallest share of the frame's pixels, in [0, 1], that a chosen
      object covers. An object without any pixel is never chosen.

  Returns:
    int [O], the numbers of the O chosen objects in ascending order.
  """
  # The number of pixels of each object, [256].
  area = np.bincount(mask.ravel(), minlength=256)
  area[0] = 0
  return np.flatnonzero(area >= max(1, min_share * mask.size))


def renumber(masks: np.ndarray, objects: np.ndarray) -> np.ndarray:
  """Renumbers the chosen objects of masks as 1, 2 and so on.

  Args:
    masks: uint8 [...], the number of the object in each pixel.
    objects: int [O], the numbers of the O chosen objects.

  Returns:
    uint8 [...]: 1 + i in the pixels of objects[i], and 0, the background, in
    all other pixels.
  """
  table = np.zeros(256, np.uint8)
  table[objects] = 1 + np.arange(len(objects))
  return table[masks]


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Resizes an image by linear interpolation, like OpenCV's INTER_LINEAR.

  Values are interpolated between pixel centres; the centre of pixel i is at
  i + 0.5. There is no antialiasing when the image shrinks. Between the border
  and the outermost centres, values are those of the outermost pixels.

  Args:
    image: float [H, W, C].
    size: new height and width in pixels.

  Returns:
    float [*size, C].
  """
  for axis, (old, new) in enumerate(zip(image.shape, size)):
    # The position of each new pixel's centre, in units where old centres are
    # integers, and the indices of the old pixels on either side.
    position = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    low = np.minimum(position.astype(int), max(old - 2, 0))
    high = np.minimum(low + 1, old - 1)
    # The weight of the old pixel `high`, shaped to broadcast over the image.
    share = (position - low).astype(np.float32)
    share = share.reshape(-1, *(1,) * (image.ndim - 1 - axis))
    image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
  return image


def _nearest(old, new):
  """Returns which old pixel each new one copies, as in OpenCV's INTER_NEAREST.

  INTER_NEAREST takes the old pixel that contains the upper left corner of the
  new one, not its centre.

  Args:
    old: number of pixels before resizing, along one axis.
    new: number of pixels after resizing.

  Returns:
    int [new], indices of old pixels.
  """
  index = np.floor(np.arange(new) * (1 / (new / old))).astype(int)
  return np.minimum(index, old - 1)
