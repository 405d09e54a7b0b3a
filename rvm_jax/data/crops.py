"""Random resized crops: samples a box, and cuts it out of several frames."""

from collections.abc import Sequence
import math

import numpy as np
from PIL import Image


def sample_box(
    rng: np.random.Generator,
    height: int,
    width: int,
    area: tuple[float, float],
    aspect: tuple[float, float],
) -> tuple[int, int, int, int]:
  """Samples a box in the way of torchvision's RandomResizedCrop.

  The area is uniform over its range, and so is the logarithm of the aspect. If
  ten such boxes do not fit into the frame, the box is the largest one in the
  centre of the frame whose aspect is within the range.

  Args:
    rng: random generator.
    height: height of the frame in pixels.
    width: width of the frame in pixels.
    area: least and greatest area of the box, as a share of the frame's.
    aspect: least and greatest width / height of the box.

  Returns:
    The box (x0, y0, x1, y1) in whole pixels.
  """
  for _ in range(10):
    size = height * width * rng.uniform(*area)
    ratio = math.exp(rng.uniform(math.log(aspect[0]), math.log(aspect[1])))
    w = round(math.sqrt(size * ratio))
    h = round(math.sqrt(size / ratio))
    if 0 < w <= width and 0 < h <= height:
      y0 = int(rng.integers(height - h + 1))
      x0 = int(rng.integers(width - w + 1))
      return x0, y0, x0 + w, y0 + h
  w = min(width, round(height * aspect[1]))
  h = min(height, round(width / aspect[0]))
  x0, y0 = (width - w) // 2, (height - h) // 2
  return x0, y0, x0 + w, y0 + h


def crop(
    frames: np.ndarray | Sequence[np.ndarray],
    box: tuple[int, int, int, int],
    height: int,
    width: int,
    is_flipped: bool,
) -> np.ndarray:
  """Cuts a box out of n frames and resizes it (bicubic, antialiased).

  Args:
    frames: frames of one size, uint8 [n, H, W, 3].
    box: box (x0, y0, x1, y1) in whole pixels.
    height: height of the result in pixels.
    width: width of the result in pixels.
    is_flipped: whether the result is mirrored left to right.

  Returns:
    The resized boxes, uint8 [n, height, width, 3].
  """
  x0, y0, x1, y1 = box
  out = np.empty((len(frames), height, width, 3), np.uint8)
  for frame, resized in zip(frames, out):
    image = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    resized[:] = np.asarray(image)[:, :: -1 if is_flipped else 1]
  return out


def boxes_room(
    height: int, width: int, box_height: int | None, box_width: int | None
) -> tuple[int, int] | None:
  """Checks and returns the greatest size of the boxes that devices resize.

  The frames of a batch have this size, so that every such box fits into them.

  Args:
    height: height of a resized box in pixels.
    width: width of a resized box in pixels.
    box_height: greatest height in pixels of a box that devices resize; None if
      the host resizes all boxes.
    box_width: greatest width in pixels of such a box; None if `box_height` is.

  Returns:
    (box_height, box_width); None if the host resizes all boxes.

  Raises:
    ValueError: only one of `box_height` and `box_width` is None, or one is
      smaller than a resized box.
  """
  if box_height is None and box_width is None:
    return None
  if (box_height or 0) < height or (box_width or 0) < width:
    raise ValueError(
        f'box_height={box_height} and box_width={box_width} must be at least'
        f' height={height} and width={width}, or both None'
    )
  return box_height, box_width


def cut(
    frames: np.ndarray | Sequence[np.ndarray],
    box: tuple[int, int, int, int],
    height: int,
    width: int,
    room: tuple[int, int],
) -> tuple[np.ndarray, tuple[int, int]]:
  """Cuts a box out of n frames for a device that resizes and flips it.

  Args:
    frames: frames of one size, uint8 [n, H, W, 3].
    box: box (x0, y0, x1, y1) in whole pixels.
    height: height in pixels to which the device resizes the box, at most
      room[0].
    width: width in pixels to which the device resizes the box, at most room[1].
    room: greatest height and width in pixels of a box for the device. A larger
      box is resized here to `height` and `width`, so that the device's resizing
      does not change it.

  Returns:
    The boxes in the top left corners of black frames, uint8
    [n, room[0], room[1], 3]; and the height and width of a box in pixels.
  """
  x0, y0, x1, y1 = box
  out = np.zeros((len(frames), *room, 3), np.uint8)
  if y1 - y0 > room[0] or x1 - x0 > room[1]:
    out[:, :height, :width] = crop(frames, box, height, width, False)
    return out, (height, width)
  for frame, padded in zip(frames, out):
    padded[: y1 - y0, : x1 - x0] = frame[y0:y1, x0:x1]
  return out, (y1 - y0, x1 - x0)
