"""Generated scenes for the tests, and the geometry of their cameras."""

import functools

import numpy as np

from rvm_jax.data.scenes import source

# Size, frame numbers and seeds of the scenes that most tests look at.
HEIGHT, WIDTH = 48, 64
FRAMES = (0, 9, 30, 63)
SEEDS = (3, 5, 11, 16, 21)


@functools.cache
def scene(seed, frames=FRAMES, **options):
  """Returns frames of a scene with their ground truth."""
  return source.generate(
      seed, height=HEIGHT, width=WIDTH, frames=frames, **options
  )


@functools.cache
def stage(seed):
  """Returns the world, camera and renderer of a scene."""
  return source._Stage(seed, HEIGHT, WIDTH, 64)


def rays_of(scene, f, pixels):
  """Returns rays of unit depth through pixels [N, 2], in world axes [N, 3].

  `f` is an index into the frames of `scene`, also in the functions below.
  """
  k, rotation = scene.intrinsics, scene.poses[f][:3, :3]
  x = (pixels[:, 0] - k[0, 2]) / k[0, 0]
  y = (pixels[:, 1] - k[1, 2]) / k[1, 1]
  return np.stack([x, y, np.ones_like(x)], 1) @ rotation.T


def project(scene, f, points):
  """Returns pixels [N, 2] and depths [N] of points [N, 3] of the world."""
  camera = (points - scene.poses[f][:3, 3]) @ scene.poses[f][:3, :3]
  pixels = camera @ scene.intrinsics.T
  return pixels[:, :2] / pixels[:, 2:], camera[:, 2]


def centers(scene):
  """Returns the centres (x, y) of all pixels, row by row, [H * W, 2]."""
  height, width = scene.segments.shape[1:]
  y, x = np.mgrid[:height, :width].reshape(2, -1) + 0.5
  return np.stack([x, y], 1)


def is_inner(scene, f, radius=1):
  """Returns which pixels have only their own segment around them, bool [H, W].

  The neighbourhood reaches `radius` pixels to each side, inside the frame.
  """
  segments = np.pad(scene.segments[f].astype(int), radius, constant_values=-1)
  span = 2 * radius + 1
  windows = np.lib.stride_tricks.sliding_window_view(segments, (span, span))
  return windows.min((2, 3)) == windows.max((2, 3))
