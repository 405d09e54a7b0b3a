"""Folders of pictures as videos: one file for each frame, as bear/00000.jpg.

The numbered pictures of a folder are the frames of one video, in the order of
the numbers in their names, so that img_9.jpg comes before img_10.jpg. Numbers
may be missing and may begin anywhere: only their order counts. The names of the
pictures must not differ in anything but numbers. Pictures without a number,
hidden files and files of other kinds are ignored.

Frames come upright, as the orientation in a picture's EXIF data says.
Transparency is ignored, as it is in video files. Colour channels with 16 bits
keep the upper 8; grey pictures with more than 8 bits, which are depth maps in
most data sets, are refused.
"""

from collections.abc import Iterable, Iterator
import os
import re
from typing import BinaryIO

import numpy as np
from PIL import ExifTags
from PIL import Image

from rvm_jax.data.video import decoder

# Frames per second of every video made of pictures, because pictures do not say
# what their rate is.
FRAME_RATE = 25.0

# Suffixes of the files that may be frames.
_SUFFIXES = ('.jpeg', '.jpg', '.png', '.webp')
# Pillow's modes of pictures with at most 8 bits in each channel.
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'CMYK')
# Operation that puts a picture upright, by the orientation in its EXIF data.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_NUMBER = re.compile('[0-9]+')


def is_sequence(names: Iterable[str]) -> bool:
  """Returns whether at least two of these file names are numbered pictures."""
  frames = filter(_is_frame, names)
  return next(frames, None) is not None and next(frames, None) is not None


def decode_all(folder: str) -> Iterator[np.ndarray]:
  """Yields all frames of a folder in order, RGB, uint8 [H, W, 3].

  Args:
    folder: path of the folder.

  Raises:
    BrokenVideo: there are no frames, or their names differ in more than
      numbers; or a frame cannot be read or has another size than the first. The
      frames before it are yielded first.
  """
  shape = None
  for name in list_names(folder):
    pixels = decode(folder, name)
    shape = shape or pixels.shape
    check_shape(folder, name, pixels, shape)
    yield pixels


def read(folder: str, num_frames: int, numbers: np.ndarray, images: np.ndarray):
  """Reads frames of a folder, and decodes no others.

  Args:
    folder: path of the folder.
    num_frames: number of frames that the folder had when it was indexed.
    numbers: numbers of the n frames to read, int64 [n].
    images: array to which the frames are written, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: a frame cannot be read, or the folder has another number of
      frames, or frames of another size, than when it was indexed.
  """
  names = list_names(folder)
  if len(names) != num_frames:
    raise decoder.BrokenVideo(
        folder, f'expected {num_frames} frames, as indexed, got {len(names)}'
    )
  for image, number in zip(images, numbers):
    pixels = decode(folder, names[number])
    check_shape(folder, names[number], pixels, image.shape)
    image[:] = pixels


def list_names(folder: str) -> list[str]:
  """Returns the file names of the frames of a folder, in order.

  Raises:
    BrokenVideo: the folder has no frames or cannot be listed, or the names of
      its frames differ in more than numbers.
  """
  try:
    names = list(filter(_is_frame, os.listdir(folder)))
  except OSError as error:
    raise decoder.BrokenVideo(folder, error.strerror or str(error)) from error
  if not names:
    raise decoder.BrokenVideo(
        folder,
        'Is a directory without numbered pictures, such as 00000.jpg'
        f' ({" ".join(_SUFFIXES)})',
    )
  # Names of one sequence are equal once each number is replaced by 0. `forms`
  # has the first name of each such form.
  names.sort()
  forms: dict[str, str] = {}
  for name in names:
    forms.setdefault(_NUMBER.sub('0', name), name)
  if len(forms) > 1:
    raise decoder.BrokenVideo(
        folder,
        'expected pictures whose names differ in numbers alone, got'
        f' {" and ".join(list(forms.values())[:2])}; keep one sequence in a'
        ' folder',
    )
  return sorted(names, key=_order)


def decode(folder: str, name: str) -> np.ndarray:
  """Returns the upright pixels of a picture, RGB, uint8 [H, W, 3].

  Args:
    folder: path of the folder.
    name: name of the picture in it.

  Raises:
    BrokenVideo: the file cannot be read as a picture.
  """
  return decode_file(os.path.join(folder, name), folder, name)


def decode_file(file: str | BinaryIO, folder: str, name: str) -> np.ndarray:
  """Returns the upright pixels of a picture, RGB, uint8 [H, W, 3].

  Args:
    file: path of the picture, or an open file, which may be in memory.
    folder: path of the video, for errors.
    name: name of the picture, for errors.

  Raises:
    BrokenVideo: the file cannot be read as a picture.
  """
  try:
    with Image.open(file) as image:
      image.load()
      mode = image.mode
      turn = _UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
      # Pillow would warn that the transparency of a palette is lost.
      image.info.pop('transparency', None)
      upright = image if turn is None else image.transpose(turn)
      # `convert` would copy a picture that is RGB already.
      if upright.mode != 'RGB':
        upright = upright.convert('RGB')
      pixels = np.asarray(upright)
  except Image.UnidentifiedImageError as error:
    raise decoder.BrokenVideo(folder, f'{name} is not a picture') from error
  # Pillow raises SyntaxError for damaged EXIF data, and ValueError for text in
  # a picture that is too long.
  except (
      OSError,
      SyntaxError,
      ValueError,
      Image.DecompressionBombError,
  ) as error:
    reason = getattr(error, 'strerror', None) or error
    raise decoder.BrokenVideo(folder, f'{name}: {reason}') from error
  if mode not in _MODES:
    raise decoder.BrokenVideo(
        folder,
        f'{name}: expected at most 8 bits in a channel, got a picture of'
        f' mode {mode}',
    )
  return pixels


def check_shape(
    folder: str, name: str, pixels: np.ndarray, shape: tuple[int, ...]
):
  """Checks that a frame has the expected shape.

  Args:
    folder: path of the video, for the error.
    name: name of the frame, for the error.
    pixels: the frame, uint8 [H, W, 3].
    shape: expected shape, (H, W, 3).

  Raises:
    BrokenVideo: the frame has another shape.
  """
  if pixels.shape != shape:
    raise decoder.BrokenVideo(
        folder,
        f'{name} has {pixels.shape[1]} x {pixels.shape[0]} pixels, expected'
        f' {shape[1]} x {shape[0]} as in other frames',
    )


def _is_frame(name: str) -> bool:
  """Returns whether a file of this name is a numbered picture."""
  stem, suffix = os.path.splitext(name)
  return (
      suffix.lower() in _SUFFIXES
      and not name.startswith('.')
      and _NUMBER.search(stem) is not None
  )


def _order(name: str) -> tuple[list[int], str]:
  """Returns the key to sort frames by: the numbers in a name, then the name."""
  return [int(number) for number in _NUMBER.findall(name)], name
