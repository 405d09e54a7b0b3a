"""What a model sees of video frames: a box, resized to whole patches."""

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
  """A box in the frames of a video, and the size that it is resized to.

  A box that has this size already is not resized.

  Attributes:
    source: height and width of the upright frames in pixels.
    box: the box (x0, y0, x1, y1) in whole pixels of the frames.
    height: height of the resized box in pixels.
    width: width of the resized box in pixels.
  """

  source: tuple[int, int]
  box: tuple[int, int, int, int]
  height: int
  width: int

  def crop(self, picture: av.VideoFrame, rgb: decoder.RGB) -> np.ndarray:
    """Crops a frame to the box and resizes it (bicubic, antialiased).

    Args:
      picture: a decoded frame of the size `source`.
      rgb: converter of decoded frames to pixels.

    Returns:
      uint8 [height, width, 3].
    """
    frames = rgb(picture)[None]
    return crops.crop(frames, self.box, self.height, self.width, False)[0]

  def describe(self) -> dict[str, Any]:
    """Returns a description for the attributes of a store, as JSON values."""
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
  """Chooses the view of a video whose sides are multiples of the patch.

  If neither height nor width is given, the frames are not resized: rows and
  columns of pixels at the borders are cut off, fewer than a patch has, so that
  whole patches remain. If one of height and width is given, the other follows
  from the shape of the frames, rounded to the nearest multiple of the patch.

  Args:
    source: height and width of the frames in pixels.
    height: height of the view in pixels, or None.
    width: width of the view in pixels, or None.
    patch: side of a patch in pixels.
    fit: what happens if the view has another aspect ratio than the frames.
      'crop' cuts the frames off on two opposite sides; 'stretch' distorts them.

  Raises:
    ValueError: a given side is not a positive multiple of the patch; or no side
      is given, and the frames are smaller than a patch.
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
    box_size = height, width
  else:
    if height is None:
      height = _round(width * rows / columns, patch)
    if width is None:
      width = _round(height * columns / rows, patch)
    # The largest box within the frames that has the aspect ratio of the view.
    scale = min(rows / height, columns / width)
    box_size = round(height * scale), round(width * scale)
    if fit == 'stretch':
      box_size = source
  # The box is centred; an odd pixel stays at the bottom or at the right.
  y0, x0 = (rows - box_size[0]) // 2, (columns - box_size[1]) // 2
  box = x0, y0, x0 + box_size[1], y0 + box_size[0]
  return View(source, box, height, width)


def read_frames(
    path: str,
    patch: int,
    *,
    height: int | None = None,
    width: int | None = None,
    fit: str = 'crop',
) -> Iterator[np.ndarray]:
  """Reads the good frames of a video one by one, as a model sees them.

  Args:
    path: path of the video.
    patch: side of a patch in pixels.
    height: height in pixels that frames are resized to, or None. `choose`
      describes the effect of `height`, `width` and `fit`.
    width: width in pixels that frames are resized to, or None.
    fit: 'crop' or 'stretch'.

  Yields:
    The frames, uint8 [height, width, 3]. After damage, frames are left out up
    to the next key frame.

  Raises:
    BrokenVideo: the file is not a video, or no frame of it can be decoded.
    ValueError: a given side is not a positive multiple of the patch; or no side
      is given, and the frames are smaller than a patch.
  """
  view, rgb = None, decoder.RGB()
  for frame in playback.Playback(path):
    view = view or choose(
        decoder.shape(frame.picture), height, width, patch, fit
    )
    yield view.crop(frame.picture, rgb)


def crop_chunks(
    frames: Iterable[playback.Frame], view: View, start: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Crops and resizes the frames of a video, a chunk at a time.

  Args:
    frames: all good frames of the video, in order.
    view: the box that is cut from each frame, and the size it is resized to.
    start: number of frames to leave out at the start.
    size: number of frames in a chunk.

  Yields:
    Timestamps in seconds, float64 [n], and images, uint8 [size, height, width,
    3]. Only the last chunk may have n < size; its other images are black.
  """
  rgb = decoder.RGB()
  frames = itertools.islice(frames, start, None)
  while chunk := list(itertools.islice(frames, size)):
    images = np.zeros((size, view.height, view.width, 3), np.uint8)
    for image, frame in zip(images, chunk):
      image[:] = view.crop(frame.picture, rgb)
    yield np.array([frame.time for frame in chunk]), images


def check(height: int | None, width: int | None, patch: int):
  """Raises ValueError where a given side is not a multiple of the patch."""
  patches.grid(
      patch if height is None else height,
      patch if width is None else width,
      patch,
  )


def _round(side: float, patch: int) -> int:
  """Rounds a side to the nearest multiple of the patch, at least one patch."""
  return max(1, round(side / patch)) * patch
