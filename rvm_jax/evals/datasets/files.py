"""Reads and lists the files of a data set: text, JSON, images and masks.

Errors name the file that is missing or broken. If a file is missing, they also
say where the data set can be downloaded; that sentence is the argument
`source`.
"""

from collections.abc import Sequence
import json
import os
from typing import Any, BinaryIO

import numpy as np
from PIL import Image


def read_lines(path: str, source: str) -> list[str]:
  """Reads the lines of a text file that are not empty.

  Args:
    path: path of the file.
    source: sentence that says where the data set can be downloaded.

  Returns:
    The lines, without white space at their ends, one or more.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file has no such lines.
  """
  if not os.path.isfile(path):
    raise FileNotFoundError(f'{path} is missing. {source}')
  with open(path, encoding='utf-8') as f:
    lines = [line.strip() for line in f if line.strip()]
  if not lines:
    raise ValueError(f'{path} has no lines. {source}')
  return lines


def read_json(path: str, source: str) -> Any:
  """Reads a JSON file.

  Args:
    path: path of the file.
    source: sentence that says where the data set can be downloaded.

  Returns:
    The content, as json.load returns it.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is not JSON.
  """
  if not os.path.isfile(path):
    raise FileNotFoundError(f'{path} is missing. {source}')
  with open(path, encoding='utf-8') as f:
    try:
      return json.load(f)
    except ValueError as error:
      raise ValueError(f'{path} is not JSON: {error}') from error


def list_files(folder: str, suffix: str, source: str) -> list[str]:
  """Lists the files in a folder whose names end in a suffix.

  Args:
    folder: path of the folder; folders in it are not searched.
    suffix: end of the names, such as '.jpg'.
    source: sentence that says where the data set can be downloaded.

  Returns:
    Their paths, sorted by name; at least one.

  Raises:
    FileNotFoundError: there is no such folder, or no such file in it.
  """
  if not os.path.isdir(folder):
    raise FileNotFoundError(f'the folder {folder} is missing. {source}')
  names = sorted(n for n in os.listdir(folder) if n.endswith(suffix))
  if not names:
    raise FileNotFoundError(f'{folder} holds no {suffix} files. {source}')
  return [os.path.join(folder, name) for name in names]


def find_by_stem(folder: str, suffixes: tuple[str, ...]) -> dict[str, str]:
  """Finds the files in a folder and all folders below it by their stems.

  Args:
    folder: path of the folder. If there is none, nothing is found.
    suffixes: ends of the names of the files to find, such as ('.mp4',).

  Returns:
    {stem: path of the file}. The stem is the name without its extension. If
    several files have the same stem, only one of them is returned.
  """
  return {
      os.path.splitext(name)[0]: os.path.join(place, name)
      for place, _, names in os.walk(folder)
      for name in names
      if name.endswith(suffixes)
  }


def check_pairs(frames: Sequence[str], masks: Sequence[str], source: str):
  """Checks that every frame has an annotation of the same stem, and vice versa.

  Args:
    frames: paths of the frames, all in one folder, at least one.
    masks: paths of the annotations, such as masks or depth maps, all in one
      folder, at least one.
    source: sentence that says where the data set can be downloaded.

  Raises:
    FileNotFoundError: a frame or an annotation is missing; the error names the
      folder and the first five stems.
  """
  with_frame, with_mask = ({_stem(path) for path in x} for x in (frames, masks))
  for kind, folder, missing in (
      ('annotations', masks[0], sorted(with_frame - with_mask)),
      ('frames', frames[0], sorted(with_mask - with_frame)),
  ):
    if missing:
      raise FileNotFoundError(
          f'{len(frames)} frames and {len(masks)} annotations:'
          f' {os.path.dirname(folder)} lacks the {kind}'
          f' {", ".join(missing[:5])}{", ..." * (len(missing) > 5)}. {source}'
      )


def read_frames(images: Sequence[str | BinaryIO]) -> np.ndarray:
  """Reads images of one size.

  Args:
    images: paths of image files, or binary files open for reading that have a
      `name`. RGB, grey and palette images are accepted; at least one.

  Returns:
    uint8 RGB [T, H, W, 3].

  Raises:
    ValueError: a file is not such an image, or differs from the first in size;
      the error names it.
  """
  return _stack([_read(f, ('RGB', 'L', 'P'), 'RGB') for f in images], images)


def read_masks(images: Sequence[str | BinaryIO]) -> np.ndarray:
  """Reads masks of one size.

  Args:
    images: paths of image files, or binary files open for reading that have a
      `name`. Grey and palette images are accepted; at least one.

  Returns:
    uint8 [T, H, W], the grey values or palette indices of the pixels.

  Raises:
    ValueError: a file is not such an image, or differs from the first in size;
      the error names it.
  """
  return _stack([_read(f, ('L', 'P'), None) for f in images], images)


def _read(file, modes, mode):
  """Returns an image of one of `modes`, converted to `mode` unless None."""
  try:
    with Image.open(file) as image:
      if image.mode not in modes:
        raise ValueError(
            f'{_name(file)} must be a picture of mode {" or ".join(modes)}, got'
            f' {image.mode}'
        )
      return np.asarray(image.convert(mode) if mode else image)
  except OSError as error:
    raise ValueError(
        f'{_name(file)} cannot be read as a picture: {error}'
    ) from error


def _stack(images, files):
  """Stacks images after checking that they have one size."""
  for image, file in zip(images, files):
    if image.shape != images[0].shape:
      raise ValueError(
          f'{_name(file)} has {image.shape[:2]} pixels, and {_name(files[0])}'
          f' has {images[0].shape[:2]}; all must have one size'
      )
  return np.stack(images)


def _name(file):
  """Returns a path, or the name of an open file, for errors."""
  return getattr(file, 'name', file)


def _stem(path):
  """Returns the name of a file without its extension."""
  return os.path.splitext(os.path.basename(path))[0]
