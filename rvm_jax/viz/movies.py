"""Movie files that browsers can play."""

from collections.abc import Iterable
import itertools
import os

import av
from av.video import reformatter
import numpy as np

_BT709 = reformatter.Colorspace.ITU709
_VIDEO_RANGE = reformatter.ColorRange.MPEG
_QUALITY = {'crf': '18', 'preset': 'medium'}


def save_movie(
    path: str | os.PathLike, images: Iterable[np.ndarray], rate: int
) -> tuple[int, int]:
  """Writes images to an H.264 file (.mp4).

  Images are taken and encoded one at a time. A browser can start to play the
  file before it has loaded all of it.

  Args:
    path: path of the file.
    images: RGB images of one size, uint8 [H, W, 3], with even H and W.
    rate: images per second.

  Returns:
    Height and width of the movie in pixels.

  Raises:
    ValueError: there is no image, a side is odd, or the sizes differ.
  """
  images = iter(images)
  first = next(images, None)
  if first is None:
    raise ValueError('a movie needs at least one image, got none')
  height, width, _ = first.shape
  if height % 2 or width % 2:
    raise ValueError(f'sides must be even, got {height} x {width}')
  faststart = {'movflags': '+faststart'}
  with av.open(os.fspath(path), 'w', format='mp4', options=faststart) as file:
    stream = file.add_stream('libx264', rate=rate, options=_QUALITY)
    stream.height, stream.width, stream.pix_fmt = height, width, 'yuv420p'
    # The file states how its colours are encoded, because browsers guess
    # differently where it does not.
    stream.colorspace = _BT709
    stream.color_primaries = reformatter.ColorPrimaries.BT709
    stream.color_trc = reformatter.ColorTrc.BT709
    stream.color_range = _VIDEO_RANGE
    for image in itertools.chain([first], images):
      if image.shape != first.shape:
        raise ValueError(f'all images must be {first.shape}, got {image.shape}')
      frame = av.VideoFrame.from_ndarray(image, format='rgb24')
      frame = frame.reformat(
          format='yuv420p',
          dst_colorspace=_BT709,
          dst_color_range=_VIDEO_RANGE,
      )
      file.mux(stream.encode(frame))
    file.mux(stream.encode(None))
  return height, width
