"""One random resized crop and flip for all frames of a clip."""

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
  """Draws a box as torchvision's RandomResizedCrop does.

  Area uniform, aspect uniform in its logarithm; after ten boxes that do not
  fit, the largest centred one within the range of aspects.

  Args:
    rng: source of randomness.
    height: of the frames, pixels.
    width: of the frames, pixels.
    area: least and greatest share of the frame's area.
    aspect: least and greatest width / height.

  Returns:
    (x0, y0, x1, y1), whole pixels within the frame.
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
    frames: np.ndarray,
    box: tuple[int, int, int, int],
    height: int,
    width: int,
    is_flipped: bool,
) -> np.ndarray:
  """Cuts `box` out of frames, resizes (bicubic, antialiased), flips.

  Args:
    frames: uint8 [n, H, W, 3].
    box: (x0, y0, x1, y1) in whole pixels.
    height: of the result, pixels.
    width: of the result, pixels.
    is_flipped: whether left and right change places.

  Returns:
    uint8 [n, height, width, 3].
  """
  x0, y0, x1, y1 = box
  out = np.empty((len(frames), height, width, 3), np.uint8)
  for frame, resized in zip(frames, out):
    image = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    resized[:] = np.asarray(image)[:, :: -1 if is_flipped else 1]
  return out
