"""What a model sees of whole frames: a part of them, resized to its patches."""

from collections.abc import Iterable, Iterator
import dataclasses
import itertools
from typing import Any

import av
import numpy as np

from rvm_jax.data import crops
from rvm_jax.data.video import decoder
from rvm_jax.features import playback
from rvm_jax.ops import patches


@dataclasses.dataclass(frozen=True)
class View:
  """A part of frames, resized (bicubic, antialiased) unless it has the size.

  Attributes:
    source: height and width of the frames, upright.
    box: the part, (x0, y0, x1, y1) in whole pixels.
    height: of what the model sees, pixels.
    width: likewise.
  """

  source: tuple[int, int]
  box: tuple[int, int, int, int]
  height: int
  width: int

  def crop(self, picture: av.VideoFrame, rgb: decoder.RGB) -> np.ndarray:
    """Returns what the model sees of a frame: uint8 [height, width, 3]."""
    frames = rgb(picture)[None]
    return crops.crop(frames, self.box, self.height, self.width, False)[0]

  def describe(self) -> dict[str, Any]:
    """Says it in words and numbers, for JSON."""
    return {
        'source_height_width': list(self.source),
        'box_x0_y0_x1_y1': list(self.box),
        'height_width': [self.height, self.width],
        'resizing': 'bicubic, antialiased; none where the box has this size',
        'colours': 'RGB in [0, 1]; no mean or deviation taken off',
    }


def choose(
    source: tuple[int, int],
    height: int | None,
    width: int | None,
    patch: int,
    fit: str,
) -> View:
  """Fits frames to the patches.

  Args:
    source: height and width of the frames.
    height: wanted, a multiple of `patch`; None: it follows from the width and
      the shape of the frames, to the nearest multiple.
    width: wanted, likewise. If neither is, the frames keep their size, but for
      less than a patch at the borders.
    patch: side of a patch.
    fit: where the frames have another shape than what is wanted, 'crop' cuts
      off on both sides alike, and 'stretch' distorts.

  Raises:
    ValueError: a side wanted is not a multiple of the patch; or none is, and
      the frames are smaller than one.
  """
  check(height, width, patch)
  rows, columns = source
  if height is None and width is None:
    height, width = rows // patch * patch, columns // patch * patch
    if not height or not width:
      raise ValueError(
          f'frames of {columns} x {rows} pixels are smaller than a patch,'
          f' {patch} x {patch}: give the height or width to resize them to'
      )
    kept = height, width
  else:
    height = height or _round(width * rows / columns, patch)
    width = width or _round(height * columns / rows, patch)
    scale = min(rows / height, columns / width)
    kept = round(height * scale), round(width * scale)
    if fit == 'stretch':
      kept = source
  y0, x0 = (rows - kept[0]) // 2, (columns - kept[1]) // 2
  return View(source, (x0, y0, x0 + kept[1], y0 + kept[0]), height, width)


def crop_batches(
    frames: Iterable[playback.Frame], view: View, start: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Crops and resizes the frames from number `start` on, `size` at a time.

  Yields:
    Timestamps, float64 [n], and images, uint8 [size, height, width, 3]. Only of
    the last part n may be less than `size`: the rest of its images is black.
  """
  rgb = decoder.RGB()
  frames = itertools.islice(frames, start, None)
  while part := list(itertools.islice(frames, size)):
    images = np.zeros((size, view.height, view.width, 3), np.uint8)
    for image, frame in zip(images, part):
      image[:] = view.crop(frame.picture, rgb)
    yield np.array([frame.time for frame in part]), images


def check(height: int | None, width: int | None, patch: int):
  """Raises ValueError where a given side is not a multiple of `patch`."""
  patches.grid(
      patch if height is None else height,
      patch if width is None else width,
      patch,
  )


def _round(side: float, patch: int) -> int:
  """Returns the multiple of `patch` nearest to `side`, at least one patch."""
  return max(1, round(side / patch)) * patch
