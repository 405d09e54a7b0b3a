"""Panels: a video and the maps of its features, side by side."""

from collections.abc import Iterator, Mapping
import functools

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

BACKGROUND, _INK = (22, 24, 28), (232, 230, 225)
# Least and greatest length of a panel's longer side, in pixels.
_LEAST, _MOST = 320, 640
# Space between panels, in pixels.
_GAP = 8


def draw(
    frames: np.ndarray,
    components: np.ndarray,
    clusters: np.ndarray,
    state_change: np.ndarray,
    pixel_change: np.ndarray,
) -> dict[str, np.ndarray]:
  """Draws the six panels of a video.

  Panels have one size, with a longer side of about 320 to 640 pixels. A patch
  is a rectangle of one colour.

  Args:
    frames: frames of the video, uint8 [T, H, W, 3].
    components: colours of the patches, float [T, h, w, 3] in [0, 1], as
      returned by `maps.find_components`.
    clusters: clusters of the patches, int [T, h, w], as returned by
      `maps.find_clusters`.
    state_change: change from the second frame on, float [T - 1, h, w], as
      returned by `maps.state_change`.
    pixel_change: change from the second frame on, float [T - 1, h, w], as
      returned by `maps.pixel_change`.

  Returns:
    Panels by name, uint8 [T, height, width, 3]. In the first frame the two
    panels of change are black.
  """
  video = fit(frames, _LEAST, _MOST)
  enlarge = functools.partial(
      _resize, size=video.shape[1:3], resampling=Image.Resampling.NEAREST
  )
  cluster_colors = enlarge(colors.KINDS[clusters])
  return {
      VIDEO: video,
      COMPONENTS: enlarge(colors.to_bytes(components)),
      CLUSTERS: cluster_colors,
      OVERLAY: video // 2 + cluster_colors // 2,
      STATE_CHANGE: enlarge(_paint_change(state_change)),
      PIXEL_CHANGE: enlarge(_paint_change(pixel_change)),
  }


def full_change(change: np.ndarray) -> float:
  """Chooses the amount of change that gets the brightest colour.

  It is the third quartile over frames of the 99th percentile over patches. In
  the first few frames the whole state changes; a maximum over all frames would
  leave the rest of the video dark.

  Args:
    change: change from the second frame on, float [T - 1, h, w].

  Returns:
    An amount above 0, even if nothing changes.
  """
  by_frame = np.percentile(change, 99, axis=(1, 2))
  return max(float(np.percentile(by_frame, 75)), 1e-8)


def lay_out(
    panels: Mapping[str, np.ndarray], columns: int
) -> Iterator[np.ndarray]:
  """Places panels in a grid, each below its name.

  The name of the first panel is followed by the number of the frame.

  Args:
    panels: panels by name, uint8 [T, H, W, 3], of one shape, with even H and W.
    columns: number of panels in a row.

  Yields:
    One picture for each frame, uint8 [height, width, 3], with even sides.
  """
  num_frames, height, width, _ = next(iter(panels.values())).shape
  rows = -(-len(panels) // columns)
  # Height of a panel's name, even, in proportion to the panel's width.
  strip = width // 20 * 2
  font = ImageFont.load_default(0.62 * strip)
  step_y, step_x = strip + height + _GAP, width + _GAP
  size = columns * step_x + _GAP, rows * step_y + _GAP
  corners = [
      (_GAP + i % columns * step_x, i // columns * step_y)
      for i in range(len(panels))
  ]
  for t in range(num_frames):
    picture = Image.new('RGB', size, BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for i, (name, images) in enumerate(panels.items()):
      x, y = corners[i]
      caption = name if i else f'{name}, frame {t}'
      pen.text((x, y + strip / 2), caption, _INK, font, anchor='lm')
      picture.paste(Image.fromarray(images[t]), (x, y + strip))
    yield np.asarray(picture)


def fit(images: np.ndarray, least: int, most: int) -> np.ndarray:
  """Resizes images so that their longer side is about `least` to `most`.

  Small images are enlarged by a whole factor, with pixels as squares. Large
  ones are shrunk smoothly. Both sides are rounded to even lengths.

  Args:
    images: uint8 [T, H, W, 3].
    least: least length of the longer side, in pixels.
    most: greatest length of the longer side, in pixels.

  Returns:
    uint8 [T, height, width, 3], with even sides.
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
  """Colours changes [T - 1, h, w] and puts a black frame first.

  Args:
    change: change from the second frame on, float [T - 1, h, w].

  Returns:
    uint8 [T, h, w, 3].
  """
  painted = colors.paint_amounts(change, full_change(change))
  return np.concatenate([np.zeros_like(painted[:1]), painted])


def _resize(images, size, resampling):
  return np.stack(
      [
          np.asarray(Image.fromarray(image).resize(size[::-1], resampling))
          for image in images
      ]
  )
