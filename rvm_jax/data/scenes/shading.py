"""Shading of generated scenes: what colour a ray sees.

Colour is a procedural texture that sticks to its surface, lit by a lamp that
casts shadows, behind haze. Textures fade out before they alias.
"""

import math

import numpy as np

# The sky is shaded as if it had this inverse depth (1 / m).
_SKY = 1e-4

# Rows of the table of materials, which has a column for each geom. _COLOR is
# the mean of a geom's two colours, _CHANGE the second minus the first, and
# _RATE how fast phases change over the image. See `tabulate`.
_NORMAL, _WAVES, _PHASES = slice(0, 3), slice(3, 12), slice(12, 15)
_WEIGHTS, _COLOR, _CHANGE = slice(15, 19), slice(19, 22), slice(22, 25)
_SHARPNESS, _RATE, _WARP, _GLOSS = range(25, 29)
_NUM_ROWS = 29


def tabulate(appearance, data, pixel):
  """Returns the table of materials at one moment.

  Args:
    appearance: an appearance.Appearance.
    data: MuJoCo state.
    pixel: size of a pixel at a depth of 1 m, metres.

  Returns:
    float32 [_NUM_ROWS, G + 1], one column for each geom and one for the sky.
  """
  frames = data.geom_xmat.reshape(-1, 3, 3)
  num = len(frames)
  table = np.zeros((_NUM_ROWS, num + 1), np.float32)
  geoms = table[:, :num]
  # Waves are fixed to their geom: turn them into the axes of the world and move
  # their origin to the geom's centre.
  waves = appearance.waves @ frames.transpose(0, 2, 1)
  shift = (waves @ data.geom_xpos[:, :, None])[..., 0]
  # The normals of planes. `shade` puts in those of objects, point by point.
  geoms[_NORMAL] = frames[:, :, 2].T
  geoms[_WAVES] = waves.reshape(num, 9).T
  geoms[_PHASES] = (appearance.phases - shift).T
  geoms[_WEIGHTS] = appearance.weights.T
  geoms[_COLOR] = appearance.colors.mean(1).T
  geoms[_CHANGE] = (appearance.colors[:, 1] - appearance.colors[:, 0]).T
  geoms[_SHARPNESS] = appearance.sharpness
  # How fast a phase changes at most, in radians per pixel at a depth of 1 m.
  geoms[_RATE] = (
      pixel
      * (1 + appearance.warp)
      * (np.linalg.norm(appearance.waves, axis=2).max(1))
  )
  geoms[_WARP] = appearance.warp
  geoms[_GLOSS] = appearance.gloss
  return table


def shade(rays, appearance, table, x, y, near):
  """Computes what N rays see.

  Args:
    rays: a raycast.RayCaster.
    appearance: an appearance.Appearance.
    table: the materials, as returned by `tabulate`.
    x: x of the rays (x, y, 1), float32 [N].
    y: y of the rays, float32 [N].
    near: whether a ray may meet an object, bool [N].

  Returns:
    color: linear light, float32 [3, N].
    light: strength of the light that falls on the surface, float32 [N], to find
      edges by.
    surface: index of the geom, int [N]; the number of geoms for the sky.
    depth: depth in metres, float32 [N]; inf in the sky.
  """
  # The surface that each ray meets: its point, material and normal. The sky is
  # shaded as a surface far away.
  ray = rays.directions(x, y)
  surface, inverse, objects, object_normals = rays.cast(x, y, ray, near)
  depth = 1 / np.maximum(inverse, _SKY)
  point = [w * depth + e for w, e in zip(ray, rays.eye.tolist())]
  table = table.take(surface, 1)  # [_NUM_ROWS, N]
  normal = table[_NORMAL]
  normal[:, objects] = object_normals.T

  # The texture. A pixel covers more of it far away and on surfaces seen at a
  # grazing angle (`facing` is the cosine of the angle to the normal).
  length = np.sqrt(x * x + y * y + 1)  # Of the ray, at depth 1.
  facing = -_dot(normal, ray) / length
  color = table[_COLOR]
  footprint = table[_RATE] * depth * length
  footprint /= np.sqrt(np.maximum(facing, 0.05))
  color += table[_CHANGE] * _mix(table, point, footprint)

  # The lamp's light: Lambert's cosine law, and shadows.
  to_lamp = [a - p for a, p in zip(appearance.lamp.tolist(), point)]
  distance2 = _dot(to_lamp, to_lamp)
  distance = np.sqrt(distance2)
  incidence = _dot(normal, to_lamp) / distance
  lit = np.maximum(incidence, 0)
  lit[rays.find_shadows(appearance.lamp, to_lamp, distance2, lit > 0)] = 0
  # Blinn's highlight. With unit vectors l and v to the lamp and the eye, the
  # cosine between the normal and the half vector is (n.l + n.v) / |l + v|. Its
  # 32nd power is the highlight.
  between = 2 - 2 * _dot(to_lamp, ray) / (distance * length)
  shine = (incidence + facing) / np.sqrt(np.maximum(between, 1e-3))
  for _ in range(5):
    shine *= shine
  shine *= table[_GLOSS] * lit
  # Ambient light is a little stronger from above.
  around = 0.7 + 0.3 * normal[2]
  for channel, ambient, diffuse in zip(
      color, appearance.ambient.tolist(), appearance.diffuse.tolist()
  ):
    channel *= ambient * around + diffuse * lit
    channel += shine
  _add_haze(appearance, color, ray[2] / length, depth)
  depth[inverse == 0] = np.inf
  return color, around + 2 * lit, surface, depth


def _mix(table, point, footprint):
  """Computes how a texture mixes the two colours of its surface.

  Args:
    table: material of each point's surface, float32 [_NUM_ROWS, N].
    point: coordinates of the points in the world, a list of three float32 [N].
    footprint: how far the phase of a wave moves from one pixel to the next,
      float32 [N], radians.

  Returns:
    float32 [N] in [-0.5, 0.5]: -0.5 for the first colour alone, 0.5 for the
    second alone, 0 for equal parts.
  """
  # Three waves, the second and third bent by the one before.
  rows = zip(table[_WAVES].reshape(3, 3, -1), table[_PHASES])
  phases = [_dot(wave, point) + shift for wave, shift in rows]
  first = np.sin(phases[0])
  second = np.sin(phases[1] + table[_WARP] * first)
  third = np.sin(phases[2] + table[_WARP] * second)
  a, b, c, product = table[_WEIGHTS]
  mix = a * first + b * second + c * third + product * (first * second)
  # Antialiasing: an edge between the colours is at least a pixel wide, and a
  # wave has faded when its period is 1.3 pixels. The constants were chosen to
  # come close to the mean of many rays over a pixel.
  mix *= np.minimum(table[_SHARPNESS], 1.6 / np.maximum(footprint, 1e-3))
  np.clip(mix, -0.5, 0.5, out=mix)
  mix *= np.clip((5 - footprint) * 0.35, 0, 1)
  return mix


def _add_haze(appearance, color, climb, depth):
  """Puts haze before what is far, and so paints the sky.

  Args:
    appearance: an appearance.Appearance.
    color: linear light, float32 [3, N]; changed in place.
    climb: sine of each ray's angle above the horizon, float32 [N].
    depth: depth of what each ray meets, float32 [N], metres.
  """
  if math.isinf(appearance.haze):
    return
  clear = np.exp(np.minimum(8 - depth, 0) / appearance.haze)
  sky = np.minimum(np.maximum(climb, 0) * 2.5, 1)
  for channel, low, high in zip(
      color, appearance.horizon.tolist(), appearance.zenith.tolist()
  ):
    # Interpolates from the colour of the sky there to the surface's own.
    air = low + (high - low) * sky
    channel -= air
    channel *= clear
    channel += air


def _dot(a, b):
  """Returns the dot products of vectors given by three coordinates each."""
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
