"""How a generated scene looks: materials, light, sky and the camera's path."""

import colorsys
import math

import numpy as np

from rvm_jax.data.scenes import physics

# Pairs: read backwards, a clip of class m shows class m ^ 1. The camera
# circles the middle, comes nearer, climbs, or turns about its line of sight.
MOTIONS = (
    'orbit_left',
    'orbit_right',
    'dolly_in',
    'dolly_out',
    'crane_up',
    'crane_down',
    'roll_left',
    'roll_right',
)

# How a surface mixes its two colours: weights of three waves, of the product
# of the first two, and the sharpness of the edges between the colours.
_PATTERNS = np.array(
    [
        (1.0, 0.0, 0.0, 0.0, 4.0),  # Stripes.
        (1.0, 0.0, 0.0, 0.0, 0.5),  # Soft stripes.
        (0.0, 0.0, 0.0, 1.0, 6.0),  # Checks.
        (0.5, 0.5, 0.6, 0.0, 0.6),  # Clouds.
        (0.5, 0.5, 0.6, 0.0, 3.0),  # Blots.
        (0.7, 0.7, 0.0, 0.4, 3.0),  # Dots.
        (0.3, 0.0, 0.3, 0.7, 0.5),  # Weave.
    ]
)


class Looks:
  """Materials of the geoms, light and sky, drawn from a random generator.

  Attributes:
    waves: float64 [G, 3, 3], from a point in a geom's own frame (m) to the
      phases of its three waves, to which `phases` [G, 3] are added.
    warp: float64 [G], by how much one wave bends the next.
    weights, sharpness: float64 [G, 4] and [G], as in _PATTERNS.
    colors: float64 [G, 2, 3]; gloss: float64 [G], the strength of highlights.
    lamp: float64 [3], where the lamp is (m); ambient, diffuse: float64 [3].
    horizon, zenith: float64 [3], the colours of the sky.
    haze: over which distance (m) things beyond 8 m take on the horizon's
      colour.
    All colours are linear light, 1 the brightest that a frame can show.
  """

  def __init__(self, rng, num_planes, num_objects):
    num = num_planes + num_objects
    is_plane = np.arange(num) < num_planes
    self.waves = _draw_waves(rng, is_plane)
    self.phases = rng.uniform(0, 2 * math.pi, (num, 3))
    self.warp = rng.uniform(0.0, 1.6, num) * (rng.random(num) < 0.6)
    patterns = _PATTERNS[rng.integers(len(_PATTERNS), size=num)]
    self.weights, self.sharpness = patterns[:, :4], patterns[:, 4]
    self.colors = _draw_colors(rng, is_plane)
    self.gloss = rng.uniform(0.0, 0.6, num) * (rng.random(num) < 0.6)
    self.gloss[is_plane] *= 0.2

    azimuth, elevation = rng.uniform(0, 2 * math.pi), rng.uniform(0.65, 1.3)
    self.lamp = 12.0 * _direction(azimuth, elevation)
    warmth = rng.uniform(-0.1, 0.1)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    self.diffuse = rng.uniform(0.75, 1.15) * tint
    self.ambient = rng.uniform(0.16, 0.36) * tint[::-1]
    hue = rng.uniform(0.5, 0.68) if rng.random() < 0.7 else rng.random()
    value = rng.uniform(0.6, 1.0)
    depth = rng.uniform(0.3, 0.7)
    self.horizon = np.square(colorsys.hsv_to_rgb(hue, 0.12, value))
    self.zenith = np.square(colorsys.hsv_to_rgb(hue, depth, value * 0.85))
    self.haze = rng.uniform(10.0, 40.0) if num_planes < 5 else math.inf


class Camera:
  """A smooth camera path, drawn from random generators.

  Attributes:
    field_of_view: vertical, radians.
    motion: index into MOTIONS, from a generator of its own, so that it says
      nothing about the rest of the scene.
  """

  def __init__(self, rng, motion_rng):
    self.motion = int(motion_rng.integers(len(MOTIONS)))
    self.field_of_view = rng.uniform(0.6, 1.1)
    self._azimuth = rng.uniform(0, 2 * math.pi)
    self._elevation = rng.uniform(0.24, 0.72)
    self._distance = rng.uniform(1.5, 2.0) / math.tan(self.field_of_view / 2)
    self._target = rng.uniform([-0.25, -0.25, 0.2], [0.25, 0.25, 0.6])
    self._sway = rng.normal(size=(3, 2)) * rng.uniform(0.0, 0.03)
    # Orbit, crane and roll in radians, dolly in log distance; to each side of
    # the middle of the path.
    self._sweep = rng.uniform([0.2, 0.12, 0.1, 0.12], [0.7, 0.35, 0.2, 0.4])

  def pose(self, frame, num_frames):
    """Camera-to-world matrix, float64 [4, 4], at one frame of a clip.

    The axes of the camera: x right, y down, z forward. Metres.
    """
    sweep = np.zeros(4)
    along = (2 * frame - num_frames + 1) / max(num_frames - 1, 1)
    backwards = self.motion % 2
    sweep[self.motion // 2] = -along if backwards else along
    orbit, dolly, crane, roll = sweep * self._sweep
    azimuth = self._azimuth - orbit
    backward = _direction(azimuth, self._elevation + crane)
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    down = np.cross(right, backward)
    time = frame / physics.FRAME_RATE
    sway = self._sway @ [math.sin(2.3 * time), math.sin(4.1 * time + 1)]
    pose = np.eye(4)
    pose[:3, 0] = math.cos(roll) * right - math.sin(roll) * down
    pose[:3, 1] = math.sin(roll) * right + math.cos(roll) * down
    pose[:3, 2] = -backward
    pose[:3, 3] = (
        self._target + sway + (self._distance * math.exp(-dolly) * backward)
    )
    return pose


def _direction(azimuth, elevation):
  flat = math.cos(elevation)
  return np.array(
      [math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.sin(elevation)]
  )


def _draw_waves(rng, is_plane):
  """Wave vectors [G, 3, 3] in radians per metre; in the plane for planes."""
  num = len(is_plane)
  angle, rate = rng.uniform(0, math.pi, num), rng.uniform(2.5, 8.0, num)
  c, s, zero = np.cos(angle), np.sin(angle), np.zeros(num)
  rows = [[c, s, zero], [-s, c, zero], [c - 0.7 * s, s + 0.7 * c, zero]]
  planes = rate * np.array(rows)
  solids = np.linalg.qr(rng.normal(size=(num, 3, 3)))[0]
  solids *= rng.uniform(8.0, 18.0, (num, 1, 1))
  return np.where(is_plane[:, None, None], planes.transpose(2, 0, 1), solids)


def _draw_colors(rng, is_plane):
  """Two colours each, linear [G, 2, 3], that go together; muted for planes."""
  num = len(is_plane)
  hue = rng.random(num)
  hue = np.stack([hue, hue + rng.uniform(-0.3, 0.3, num)], 1)
  saturation, value = rng.random((2, num, 2))
  flat = is_plane[:, None]
  saturation = np.where(flat, 0.05 + 0.4 * saturation, 0.4 + 0.6 * saturation)
  value = 0.45 + 0.5 * value
  value[:, 1] *= rng.uniform(0.3, 1.0, num)
  # Hue, saturation and value to red, green and blue.
  turn = (hue[..., None] * 6 + [5, 3, 1]) % 6
  dark = np.clip(np.minimum(turn, 4 - turn), 0, 1)
  return np.square(value[..., None] * (1 - saturation[..., None] * dark))
