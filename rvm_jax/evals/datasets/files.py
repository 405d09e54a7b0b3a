"""Lists, pictures and masks in the folders of a data set.

Whatever is missing or not what it should be is named in the error, with
`source`: a sentence on where the data set is had.
"""

from collections.abc import Sequence
import json
import os
from typing import Any

import numpy as np
from PIL import Image


def read_lines(path: str, source: str) -> list[str]:
  """The lines of a text file, without those that are empty.

  Raises:
    FileNotFoundError: there is no such file.
  """
  if not os.path.isfile(path):
    raise FileNotFoundError(f'{path} is missing. {source}')
  with open(path, encoding='utf-8') as f:
    return [line.strip() for line in f if line.strip()]


def read_json(path: str, source: str) -> Any:
  """What a JSON file holds.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not JSON.
  """
  if not os.path.isfile(path):
    raise FileNotFoundError(f'{path} is missing. {source}')
  with open(path, encoding='utf-8') as f:
    try:
      return json.load(f)
    except ValueError as error:
      raise ValueError(f'{path} is not JSON: {error}') from error


def list_files(folder: str, suffix: str, source: str) -> list[str]:
  """Paths of the files in a folder that end in `suffix`, by name.

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
  """{name without suffix: path} of all such files in a folder and below."""
  return {
      os.path.splitext(name)[0]: os.path.join(place, name)
      for place, _, names in os.walk(folder)
      for name in names
      if name.endswith(suffixes)
  }


def check_pairs(frames: Sequence[str], masks: Sequence[str], source: str):
  """Checks that every frame has a mask of its name, and the reverse.

  Raises:
    FileNotFoundError: names what is missing.
  """
  stem = lambda path: os.path.splitext(os.path.basename(path))[0]
  with_frame, with_mask = set(map(stem, frames)), set(map(stem, masks))
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


def read_frames(paths: Sequence) -> np.ndarray:
  """Pictures of one size, uint8 RGB [T, H, W, 3].

  Args:
    paths: of the files, or open binary files with a `name`.

  Raises:
    ValueError: not a picture, or of another size than the first; says which.
  """
  images = [_read(path, ('RGB', 'L', 'P'), 'RGB') for path in paths]
  return _stack(images, paths)


def read_masks(paths: Sequence) -> np.ndarray:
  """Palette or grey pictures of one size, as their numbers uint8 [T, H, W].

  Raises:
    ValueError: not such a picture, or of another size than the first.
  """
  return _stack([_read(path, ('L', 'P'), None) for path in paths], paths)


def _read(path, modes, wanted):
  name = getattr(path, 'name', path)
  try:
    with Image.open(path) as image:
      if image.mode not in modes:
        raise ValueError(
            f'{name} must be a picture of mode {" or ".join(modes)}, got'
            f' {image.mode}'
        )
      return np.asarray(image.convert(wanted) if wanted else image)
  except OSError as error:
    raise ValueError(f'{name} cannot be read as a picture: {error}') from error


def _stack(images, paths):
  for image, path in zip(images, paths):
    if image.shape != images[0].shape:
      first = getattr(paths[0], 'name', paths[0])
      raise ValueError(
          f'{getattr(path, "name", path)} has {image.shape[:2]} pixels, and'
          f' {first} has {images[0].shape[:2]}'
      )
  return np.stack(images)
