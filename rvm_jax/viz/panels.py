"""A video and the maps of its features, side by side."""

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from rvm_jax.viz import colors

VIDEO = 'Video'
COMPONENTS = 'Components (PCA)'
CLUSTERS = 'Clusters (k-means)'
OVERLAY = 'Overlay'
STATE_CHANGE = 'Change of state'
PIXEL_CHANGE = 'Change of pixels'

_LEAST, _MOST = 320, 640  # Pixels: the longer side of a panel.
_GAP = 8
GROUND, _INK = (22, 24, 28), (232, 230, 225)


def draw(
    frames: np.ndarray,
    components: np.ndarray,
    clusters: np.ndarray,
    state_change: np.ndarray,
    pixel_change: np.ndarray,
) -> dict[str, np.ndarray]:
  """Draws the panels of a video, of one size, at most 640 pixels a side.

  Args:
    frames: uint8 [T, H, W, 3].
    components: float [T, h, w, 3] in [0, 1].
    clusters: int [T, h, w].
    state_change, pixel_change: float [T - 1, h, w], from the second frame on.

  Returns:
    Name -> uint8 [T, height, width, 3]; one patch is one flat rectangle. The
    changes are black in the first frame.
  """
  video = fit(frames, _LEAST, _MOST)
  size = video.shape[1:3]
  enlarge = lambda images: _resize(images, size, Image.Resampling.NEAREST)
  groups = enlarge(colors.KINDS[clusters])
  return {
      VIDEO: video,
      COMPONENTS: enlarge(colors.to_bytes(components)),
      CLUSTERS: groups,
      OVERLAY: video // 2 + groups // 2,
      STATE_CHANGE: enlarge(_paint_change(state_change)),
      PIXEL_CHANGE: enlarge(_paint_change(pixel_change)),
  }


def full_change(change: np.ndarray) -> float:
  """The amount that has the brightest colour.

  In three quarters of the frames 99 % of the patches change less: the first few
  frames, in which the whole state fills up, would outshine all others.

  Args:
    change: float [T - 1, h, w].
  """
  most = np.percentile(change, 99, axis=(1, 2))
  return max(float(np.percentile(most, 75)), 1e-8)


def lay_out(
    panels: Mapping[str, np.ndarray], columns: int
) -> Iterator[np.ndarray]:
  """Sets panels side by side, each below its name; the first counts frames.

  Args:
    panels: name -> uint8 [T, H, W, 3], of one shape, H and W even.
    columns: how many are in a row.

  Yields:
    T pictures, uint8 [height, width, 3], both even.
  """
  num_frames, height, width, _ = next(iter(panels.values())).shape
  rows = -(-len(panels) // columns)
  strip = width // 20 * 2
  font = ImageFont.load_default(0.62 * strip)
  step = strip + height + _GAP, width + _GAP
  size = columns * step[1] + _GAP, rows * step[0] + _GAP
  places = [divmod(i, columns) for i in range(len(panels))]
  places = [(_GAP + x * step[1], y * step[0]) for y, x in places]
  for t in range(num_frames):
    picture = Image.new('RGB', size, GROUND)
    pen = ImageDraw.Draw(picture)
    for i, (name, images) in enumerate(panels.items()):
      x, y = places[i]
      name = name if i else f'{name}, frame {t}'
      pen.text((x, y + strip / 2), name, _INK, font, anchor='lm')
      picture.paste(Image.fromarray(images[t]), (x, y + strip))
    yield np.asarray(picture)


def fit(images: np.ndarray, least: int, most: int) -> np.ndarray:
  """Resizes images [T, H, W, 3] to a longer side of about `least` to `most`.

  Small ones are enlarged by a whole factor, their pixels kept as squares; large
  ones shrink, smoothly. Both sides of the result are even.
  """
  height, width = images.shape[1:3]
  longer = max(height, width)
  scale = -(-least // longer) if longer < least else min(1, most / longer)
  size = tuple(max(2, round(x * scale / 2) * 2) for x in (height, width))
  resampling = Image.Resampling
  return _resize(
      images, size, resampling.LANCZOS if scale < 1 else resampling.NEAREST
  )


def _paint_change(change):
  painted = colors.paint_amounts(change, full_change(change))
  return np.concatenate([np.zeros_like(painted[:1]), painted])


def _resize(images, size, resampling):
  return np.stack(
      [
          np.asarray(Image.fromarray(image).resize(size[::-1], resampling))
          for image in images
      ]
  )
