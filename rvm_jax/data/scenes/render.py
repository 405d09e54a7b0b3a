"""Renders generated scenes: colour, segment and depth of every pixel.

A pixel at which surface or light changes is the mean of four rays, so outlines
are smooth. Every frame is rendered alone, so it does not depend on which others
are asked for.
"""

import math

import numpy as np

from rvm_jax.data.scenes import raycast
from rvm_jax.data.scenes import shading

# Rays that are worked on at once: few enough for their arrays to stay in cache.
_BAND = 4096
# Two neighbouring pixels get more rays if the light (see `shading.shade`)
# differs by more than this.
_EDGE = 0.4
# The three places besides its centre at which a pixel at an edge is sampled:
# offsets (x, y) from the centre in pixels, float32 [2, 3, 1].
_SUBPIXELS = np.array(
    [[0.37, 0.1], [-0.27, 0.27], [-0.1, -0.37]], np.float32
).T[:, :, None]


class Renderer:
  """Renders frames of a world as a camera sees it.

  Attributes:
    focal_length: focal length in pixels.
  """

  def __init__(self, world, appearance, camera, height, width):
    """Takes a scene and the size of its frames.

    Args:
      world: a physics.World.
      appearance: an appearance.Appearance.
      camera: an appearance.Camera.
      height: height H of the frames in pixels.
      width: width W of the frames in pixels.
    """
    self._world, self._appearance, self._camera = world, appearance, camera
    self._shape = height, width
    self.focal_length = 0.5 * height / math.tan(camera.field_of_view / 2)
    # The rays (x, y, 1) through the pixels' centres, float32 [H * W].
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    x = (x + (0.5 - width / 2)) / self.focal_length
    y = (y + (0.5 - height / 2)) / self.focal_length
    self._x, self._y = x.astype(np.float32), y.astype(np.float32)

  def render(
      self, frame: int, num_frames: int
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Renders one frame.

    Args:
      frame: number of the frame, in [0, num_frames).
      num_frames: length of the clip, which the camera's motion fills.

    Returns:
      colors: RGB, uint8 [H, W, 3].
      segments: what each pixel's centre shows, uint8 [H, W]: an object, from 1,
        or 0 for the background.
      depth: depth along the optical axis in metres, float32 [H, W]; inf in the
        sky.
    """
    world, (height, width) = self._world, self._shape
    data = world.pose(frame)
    pose = self._camera.pose(frame, num_frames)
    rays = raycast.RayCaster(world, data, pose, self.focal_length)
    table = shading.tabulate(self._appearance, data, 1 / self.focal_length)
    near = rays.find_objects(self._x[:width], self._y[::width]).ravel()

    # One ray through every pixel's centre.
    num = height * width
    color = np.empty((3, num), np.float32)
    light, depth = np.empty(num, np.float32), np.empty(num, np.float32)
    surface = np.empty(num, np.intp)
    for start in range(0, num, _BAND):
      part = slice(start, start + _BAND)
      color[:, part], light[part], surface[part], depth[part] = shading.shade(
          rays,
          self._appearance,
          table,
          self._x[part],
          self._y[part],
          near[part],
      )

    # Three more rays where the light or the surface changes. Light lies between
    # 0.4 and 3, so the key differs by more than _EDGE between any two surfaces.
    edges = _find_edges(light + 4 * surface, height, width)
    offsets = _SUBPIXELS / np.float32(self.focal_length)
    for start in range(0, len(edges), _BAND // 3):
      part = edges[start : start + _BAND // 3]
      x, y = self._x[part] + offsets[0], self._y[part] + offsets[1]  # [3, n]
      more, *_ = shading.shade(
          rays,
          self._appearance,
          table,
          x.ravel(),
          y.ravel(),
          np.tile(near[part], 3),
      )
      color[:, part] += more.reshape(3, 3, -1).sum(1)
      color[:, part] *= 0.25

    # Geoms are the planes and then the objects, and the sky comes last.
    segments = np.maximum(surface - (world.num_planes - 1), 0)
    segments[surface == world.model.ngeom] = 0
    return (
        _to_display(color).reshape(height, width, 3),
        segments.astype(np.uint8).reshape(height, width),
        depth.reshape(height, width),
    )


def _find_edges(key, height, width):
  """Finds pixels that differ from one above, below, left or right of them.

  Args:
    key: number of each pixel to compare, float [H * W].
    height: H.
    width: W.

  Returns:
    Indices of the pixels whose key differs by more than _EDGE, int [M].
  """
  key = key.reshape(height, width)
  edge = np.zeros((height, width), bool)
  jump = np.abs(key[1:] - key[:-1]) > _EDGE
  edge[1:] |= jump
  edge[:-1] |= jump
  jump = np.abs(key[:, 1:] - key[:, :-1]) > _EDGE
  edge[:, 1:] |= jump
  edge[:, :-1] |= jump
  return np.flatnonzero(edge)


def _to_display(color):
  """Turns linear light [3, N] into uint8 [N, 3] for a display with gamma 2."""
  levels = np.sqrt(np.minimum(color, 1)) * 255 + 0.5
  display = np.empty(levels.shape[::-1], np.uint8)
  display[:] = levels.T
  return display
