"""Draws generated scenes: colour, instance and depth of every pixel.

Colour is a procedural pattern that sticks to its surface, lit by a lamp that
casts shadows. A pixel where surface or light changes is drawn from four rays,
so outlines are smooth; patterns fade out before they alias. Every frame is
drawn alone, so it does not depend on which others are asked for.
"""

import math

import numpy as np

from rvm_jax.data.scenes import raycast

_BAND = 4096  # Rays that are worked on at once, so that they stay in cache.
_SKY = 1e-4  # Inverse depth (1/m) at which the sky is drawn.
_EDGE = 0.4  # A change of light between neighbours that calls for more rays.
# Where an edge pixel is sampled, besides its centre.
_SUBPIXELS = np.array(
    [[0.37, 0.1], [-0.27, 0.27], [-0.1, -0.37]], np.float32
).T[:, :, None]

# Rows of the table of materials, which has a column for each geom.
_NORMAL, _WAVES, _PHASES = slice(0, 3), slice(3, 12), slice(12, 15)
_WEIGHTS, _COLOR, _CHANGE = slice(15, 19), slice(19, 22), slice(22, 25)
_SHARPNESS, _RATE, _WARP, _GLOSS = range(25, 29)
_NUM_ROWS = 29


class Renderer:
  """Draws frames [H, W] of a world as a camera sees it.

  Attributes:
    focal_length: in pixels.
  """

  def __init__(self, world, looks, camera, height, width):
    self._world, self._looks, self._camera = world, looks, camera
    self._shape = height, width
    self.focal_length = 0.5 * height / math.tan(camera.field_of_view / 2)
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    x = (x + (0.5 - width / 2)) / self.focal_length
    y = (y + (0.5 - height / 2)) / self.focal_length
    self._x, self._y = x.astype(np.float32), y.astype(np.float32)

  def render(self, frame, num_frames):
    """Draws one frame of a clip of num_frames frames.

    Returns:
      uint8 [H, W, 3] colours; uint8 [H, W] instances, 0 for the background, 1..
      for the objects; float32 [H, W] depths along the optical axis in metres,
      inf in the sky.
    """
    world, (height, width) = self._world, self._shape
    data = world.pose(frame)
    pose = self._camera.pose(frame, num_frames)
    view = raycast.View(world, data, pose, self.focal_length)
    table = _tabulate(self._looks, data, 1 / self.focal_length)
    near = view.find_objects(self._x[:width], self._y[::width]).ravel()
    num = height * width
    color = np.empty((3, num), np.float32)
    light, depth = np.empty(num, np.float32), np.empty(num, np.float32)
    surface = np.empty(num, np.intp)
    for start in range(0, num, _BAND):
      part = slice(start, start + _BAND)
      color[:, part], light[part], surface[part], depth[part] = _shade(
          view, self._looks, table, self._x[part], self._y[part], near[part]
      )
    edges = _find_edges(light + 4 * surface, height, width)
    offsets = _SUBPIXELS / np.float32(self.focal_length)
    for start in range(0, len(edges), _BAND // 3):
      part = edges[start : start + _BAND // 3]
      x, y = self._x[part] + offsets[0], self._y[part] + offsets[1]
      samples, *_ = _shade(
          view, self._looks, table, x.ravel(), y.ravel(), np.tile(near[part], 3)
      )
      color[:, part] += samples.reshape(3, 3, -1).sum(1)
      color[:, part] *= 0.25
    instance = np.maximum(surface - (world.num_planes - 1), 0)
    instance[surface == world.model.ngeom] = 0
    return (
        _to_display(color).reshape(height, width, 3),
        instance.astype(np.uint8).reshape(height, width),
        depth.reshape(height, width),
    )


def _tabulate(looks, data, pixel):
  """Materials of the geoms, and the sky: float32 [_NUM_ROWS, G + 1]."""
  frames = data.geom_xmat.reshape(-1, 3, 3)
  num = len(frames)
  table = np.zeros((_NUM_ROWS, num + 1), np.float32)
  geoms = table[:, :num]
  waves = looks.waves @ frames.transpose(0, 2, 1)
  shift = (waves @ data.geom_xpos[:, :, None])[..., 0]
  geoms[_NORMAL] = frames[:, :, 2].T  # Right for planes; objects overwrite it.
  geoms[_WAVES] = waves.reshape(num, 9).T
  geoms[_PHASES] = (looks.phases - shift).T
  geoms[_WEIGHTS] = looks.weights.T
  geoms[_COLOR] = looks.colors.mean(1).T
  geoms[_CHANGE] = (looks.colors[:, 1] - looks.colors[:, 0]).T
  geoms[_SHARPNESS] = looks.sharpness
  geoms[_RATE] = (
      pixel * (1 + looks.warp) * (np.linalg.norm(looks.waves, axis=2).max(1))
  )
  geoms[_WARP] = looks.warp
  geoms[_GLOSS] = looks.gloss
  return table


def _shade(view, looks, table, x, y, near):
  """Colours of rays (x, y, 1), float32 [N], that may meet objects if near.

  Returns:
    colours float32 [3, N], linear; strength of the light float32 [N]; index of
    the geom that is hit int [N], ngeom for the sky; depth float32 [N].
  """
  ray = view.directions(x, y)
  surface, inverse, objects, object_normals = view.cast(x, y, ray, near)
  depth = 1 / np.maximum(inverse, _SKY)
  point = [w * depth + e for w, e in zip(ray, view.eye.tolist())]
  table = table.take(surface, 1)
  normal = table[_NORMAL]
  normal[:, objects] = object_normals.T

  length = np.sqrt(x * x + y * y + 1)  # Of the ray.
  facing = -_dot(normal, ray) / length
  color = table[_COLOR]
  footprint = table[_RATE] * depth * length
  footprint /= np.sqrt(np.maximum(facing, 0.05))
  color += table[_CHANGE] * _mix(table, point, footprint)

  to_lamp = [a - p for a, p in zip(looks.lamp.tolist(), point)]
  distance2 = _dot(to_lamp, to_lamp)
  distance = np.sqrt(distance2)
  incidence = _dot(normal, to_lamp) / distance
  lit = np.maximum(incidence, 0)
  lit[view.find_shadows(looks.lamp, to_lamp, distance2, lit > 0)] = 0
  # Blinn's highlight. With unit vectors l and v to the lamp and the eye, the
  # half vector's cosine is (n.l + n.v) / |l + v|.
  between = 2 - 2 * _dot(to_lamp, ray) / (distance * length)
  shine = (incidence + facing) / np.sqrt(np.maximum(between, 1e-3))
  for _ in range(5):
    shine *= shine
  shine *= table[_GLOSS] * lit
  around = 0.7 + 0.3 * normal[2]
  for channel, ambient, diffuse in zip(
      color, looks.ambient.tolist(), looks.diffuse.tolist()
  ):
    channel *= ambient * around + diffuse * lit
    channel += shine
  _draw_air(looks, color, ray[2] / length, depth)
  depth[inverse == 0] = np.inf
  return color, around + 2 * lit, surface, depth


def _mix(table, point, footprint):
  """How much of each colour, float32 [N] in [-0.5, 0.5].

  Args:
    table: [_NUM_ROWS, N]; point: three [N], in the world.
    footprint: [N], how far a wave's phase moves from one pixel to the next.
  """
  rows = zip(table[_WAVES].reshape(3, 3, -1), table[_PHASES])
  phases = [_dot(wave, point) + shift for wave, shift in rows]
  first = np.sin(phases[0])
  second = np.sin(phases[1] + table[_WARP] * first)
  third = np.sin(phases[2] + table[_WARP] * second)
  a, b, c, product = table[_WEIGHTS]
  mix = a * first + b * second + c * third + product * (first * second)
  # As near as can be to the mean over a pixel, measured against many rays: an
  # edge is a pixel wide, and a wave is gone when a period spans 1.3 pixels.
  mix *= np.minimum(table[_SHARPNESS], 1.6 / np.maximum(footprint, 1e-3))
  np.clip(mix, -0.5, 0.5, out=mix)
  mix *= np.clip((5 - footprint) * 0.35, 0, 1)
  return mix


def _draw_air(looks, color, climb, depth):
  """Draws the sky, and haze before far things, into color [3, N]."""
  if math.isinf(looks.haze):
    return
  clear = np.exp(np.minimum(8 - depth, 0) / looks.haze)
  sky = np.minimum(np.maximum(climb, 0) * 2.5, 1)
  for channel, low, high in zip(
      color, looks.horizon.tolist(), looks.zenith.tolist()
  ):
    air = low + (high - low) * sky
    channel -= air
    channel *= clear
    channel += air


def _find_edges(key, height, width):
  """Indices of pixels whose key float32 [H * W] jumps to a neighbour's."""
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
  """Linear light [3, N] to grey levels uint8 [N, 3] of a display of gamma 2."""
  levels = np.sqrt(np.minimum(color, 1)) * 255 + 0.5
  display = np.empty(levels.shape[::-1], np.uint8)
  display[:] = levels.T
  return display


def _dot(a, b):
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
