"""How a generated scene looks: materials, light, sky and the camera's path."""

import colorsys
import math

import numpy as np

from rvm_jax.data.scenes import physics

# Classes of camera motion, in pairs: a clip of class m that is shown backwards
# is of class m ^ 1. The camera circles the middle of the scene, comes nearer,
# climbs, or turns about its line of sight.
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

# The kinds of procedural texture, one a row: how a surface mixes its two
# colours. The numbers are the weights of the surface's three waves, the weight
# of the product of the first two, and the sharpness of the edges between the
# colours.
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


class Appearance:
  """Materials of the geoms, light and sky, sampled at random.

  G is the number of geoms (MuJoCo's word for shapes), planes first. Colours are
  linear light, in which 1 is the brightest that a frame can show.

  Attributes:
    waves: wave vectors of a geom's three waves, float64 [G, 3, 3], radians per
      metre; times a point in the geom's own axes (m) they give three phases.
    phases: constants added to these phases, float64 [G, 3], radians.
    warp: amplitude by which the sine of a wave shifts the phase of the next
      wave, float64 [G], radians.
    weights: weights of the waves, float64 [G, 4], as in _PATTERNS.
    sharpness: sharpness of the edges between colours, float64 [G], as in
      _PATTERNS.
    colors: the two colours of a geom, float64 [G, 2, 3].
    gloss: strength of the highlights, float64 [G].
    lamp: position of the lamp in the world, float64 [3], metres.
    ambient: colour of the light that comes from everywhere, float64 [3].
    diffuse: colour of the lamp's light, float64 [3].
    horizon: colour of the sky at the horizon, float64 [3].
    zenith: colour of the sky overhead, float64 [3].
    haze: length in metres over which haze sets in: a surface that is this far
      beyond a depth of 8 m keeps 1 / e of its own colour, and the rest is the
      sky's. inf in a closed room.
  """

  def __init__(
      self, rng: np.random.Generator, num_planes: int, num_objects: int
  ):
    """Samples an appearance.

    Args:
      rng: random generator.
      num_planes: number of planes: the floor and the walls.
      num_objects: number of objects.
    """
    # Materials.
    num = num_planes + num_objects
    is_plane = np.arange(num) < num_planes
    self.waves = _sample_waves(rng, is_plane)
    self.phases = rng.uniform(0, 2 * math.pi, (num, 3))
    self.warp = rng.uniform(0.0, 1.6, num) * (rng.random(num) < 0.6)
    patterns = _PATTERNS[rng.integers(len(_PATTERNS), size=num)]
    self.weights, self.sharpness = patterns[:, :4], patterns[:, 4]
    self.colors = _sample_colors(rng, is_plane)
    self.gloss = rng.uniform(0.0, 0.6, num) * (rng.random(num) < 0.6)
    self.gloss[is_plane] *= 0.2

    # A lamp 12 m from the middle of the floor. If its light is warm (red), the
    # ambient light is cold, and the reverse.
    azimuth, elevation = rng.uniform(0, 2 * math.pi), rng.uniform(0.65, 1.3)
    self.lamp = 12.0 * _direction(azimuth, elevation)
    warmth = rng.uniform(-0.1, 0.1)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    self.diffuse = rng.uniform(0.75, 1.15) * tint
    self.ambient = rng.uniform(0.16, 0.36) * tint[::-1]
    # A sky that is mostly blue, pale at the horizon and deeper overhead.
    hue = rng.uniform(0.5, 0.68) if rng.random() < 0.7 else rng.random()
    value = rng.uniform(0.6, 1.0)
    depth = rng.uniform(0.3, 0.7)
    self.horizon = np.square(colorsys.hsv_to_rgb(hue, 0.12, value))
    self.zenith = np.square(colorsys.hsv_to_rgb(hue, depth, value * 0.85))
    # A floor and four walls are a closed room.
    self.haze = rng.uniform(10.0, 40.0) if num_planes < 5 else math.inf


class Camera:
  """A camera on a smooth path, sampled at random.

  Attributes:
    field_of_view: vertical field of view, radians.
    motion: class of the camera's motion, an index into MOTIONS.
  """

  def __init__(self, rng: np.random.Generator, motion_rng: np.random.Generator):
    """Samples a camera.

    Args:
      rng: random generator for all but the motion's class.
      motion_rng: random generator for the motion's class. As it is another one,
        the class is independent of the rest of the scene.
    """
    self.motion = int(motion_rng.integers(len(MOTIONS)))
    self.field_of_view = rng.uniform(0.6, 1.1)
    # Where the camera is in the middle of its path: its direction (radians) and
    # distance (metres) from the point that it looks at. `_sway` [3, 2] has the
    # amplitudes in metres of two oscillations along each axis of the world.
    self._azimuth = rng.uniform(0, 2 * math.pi)
    self._elevation = rng.uniform(0.24, 0.72)
    self._distance = rng.uniform(1.5, 2.0) / math.tan(self.field_of_view / 2)
    self._target = rng.uniform([-0.25, -0.25, 0.2], [0.25, 0.25, 0.6])
    self._sway = rng.normal(size=(3, 2)) * rng.uniform(0.0, 0.03)
    # How far the motion goes to each side of the middle of the path, by pair of
    # classes: orbit, crane and roll in radians, dolly in log distance.
    self._sweep = rng.uniform([0.2, 0.12, 0.1, 0.12], [0.7, 0.35, 0.2, 0.4])

  def pose(self, frame: int, num_frames: int) -> np.ndarray:
    """Returns the camera's pose at one frame of a clip.

    Args:
      frame: number of the frame, in [0, num_frames).
      num_frames: length of the clip, which the camera's motion fills.

    Returns:
      Camera-to-world matrix, float64 [4, 4], metres. The camera's axes are x
      right, y down and z forward.
    """
    # The motion's progress, from -1 at the first frame to 1 at the last, goes
    # into the one coordinate that the motion's class moves.
    sweep = np.zeros(4)
    along = (2 * frame - num_frames + 1) / max(num_frames - 1, 1)
    backwards = self.motion % 2
    sweep[self.motion // 2] = -along if backwards else along
    orbit, dolly, crane, roll = sweep * self._sweep

    # Axes of a camera that looks at the middle from the direction `backward`,
    # before it rolls.
    azimuth = self._azimuth - orbit
    backward = _direction(azimuth, self._elevation + crane)
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    down = np.cross(right, backward)

    # A slight sway, as of a hand, in world coordinates.
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
  """Returns the unit vector [3] with these angles (radians); z is up."""
  flat = math.cos(elevation)
  return np.array(
      [math.cos(azimuth) * flat, math.sin(azimuth) * flat, math.sin(elevation)]
  )


def _sample_waves(rng, is_plane):
  """Samples wave vectors of G geoms.

  Args:
    rng: random generator.
    is_plane: bool [G]; the waves of a plane run within the plane.

  Returns:
    Three wave vectors for each geom, float64 [G, 3, 3], radians per metre, in
    the geom's own axes.
  """
  num = len(is_plane)
  # Planes: the first two waves are perpendicular, the third runs across both.
  angle, rate = rng.uniform(0, math.pi, num), rng.uniform(2.5, 8.0, num)
  c, s, zero = np.cos(angle), np.sin(angle), np.zeros(num)
  rows = [[c, s, zero], [-s, c, zero], [c - 0.7 * s, s + 0.7 * c, zero]]
  planes = rate * np.array(rows)
  # Objects: three perpendicular waves in any direction.
  solids = np.linalg.qr(rng.normal(size=(num, 3, 3)))[0]
  solids *= rng.uniform(8.0, 18.0, (num, 1, 1))
  return np.where(is_plane[:, None, None], planes.transpose(2, 0, 1), solids)


def _sample_colors(rng, is_plane):
  """Samples the two colours of G geoms.

  Args:
    rng: random generator.
    is_plane: bool [G]; planes get muted colours.

  Returns:
    float64 [G, 2, 3], linear light; the colours of a geom have similar hues.
  """
  num = len(is_plane)
  hue = rng.random(num)
  hue = np.stack([hue, hue + rng.uniform(-0.3, 0.3, num)], 1)
  saturation, value = rng.random((2, num, 2))
  flat = is_plane[:, None]
  saturation = np.where(flat, 0.05 + 0.4 * saturation, 0.4 + 0.6 * saturation)
  value = 0.45 + 0.5 * value
  value[:, 1] *= rng.uniform(0.3, 1.0, num)
  # Hue, saturation and value to red, green and blue, as in `colorsys`, and then
  # from display values to linear light by a gamma of 2.
  turn = (hue[..., None] * 6 + [5, 3, 1]) % 6
  dark = np.clip(np.minimum(turn, 4 - turn), 0, 1)
  return np.square(value[..., None] * (1 - saturation[..., None] * dark))
