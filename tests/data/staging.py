"""Generated scenes for the tests, and the geometry of their cameras."""

import functools

import numpy as np

from rvm_jax.data.scenes import source

HEIGHT, WIDTH = 48, 64
FRAMES = (0, 9, 30, 63)
SEEDS = (3, 5, 11, 16, 21)


@functools.cache
def scene(seed, frames=FRAMES, **options):
  return source.generate(
      seed, height=HEIGHT, width=WIDTH, frames=frames, **options
  )


@functools.cache
def stage(seed):
  """World, camera and renderer of a scene."""
  return source._Stage(seed, HEIGHT, WIDTH, 64)


def rays_of(scene, f, pixels):
  """World rays of unit depth, float64 [N, 3], through pixels (x, y)."""
  k, rotation = scene.intrinsics, scene.poses[f][:3, :3]
  x = (pixels[:, 0] - k[0, 2]) / k[0, 0]
  y = (pixels[:, 1] - k[1, 2]) / k[1, 1]
  return np.stack([x, y, np.ones_like(x)], 1) @ rotation.T


def project(scene, f, points):
  camera = (points - scene.poses[f][:3, 3]) @ scene.poses[f][:3, :3]
  pixels = camera @ scene.intrinsics.T
  return pixels[:, :2] / pixels[:, 2:], camera[:, 2]


def centers(scene):
  height, width = scene.segments.shape[1:]
  y, x = np.mgrid[:height, :width].reshape(2, -1) + 0.5
  return np.stack([x, y], 1)


def is_inner(scene, f, radius=1):
  """Pixels [H, W] whose neighbourhood is all of one object."""
  segments = np.pad(scene.segments[f].astype(int), radius, constant_values=-1)
  span = 2 * radius + 1
  windows = np.lib.stride_tricks.sliding_window_view(segments, (span, span))
  return windows.min((2, 3)) == windows.max((2, 3))
