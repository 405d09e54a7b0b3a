"""Colours: textures, shadows, outlines, and a known picture."""

import mujoco
import numpy as np

from rvm_jax.data.scenes import source
from tests.data import staging

# Scene 7, frame 20, at 128 x 128: mean grey levels of blocks of 32 x 32.
THUMBNAIL = (
    (
        (152.6, 104.2, 108.1),
        (128.2, 90.9, 95.2),
        (69.3, 55.0, 61.5),
        (69.6, 55.3, 61.7),
    ),
    (
        (111.7, 101.8, 103.0),
        (106.6, 99.1, 102.6),
        (71.3, 70.6, 81.2),
        (74.1, 64.4, 76.5),
    ),
    (
        (81.8, 82.3, 113.3),
        (111.1, 121.4, 153.7),
        (84.7, 100.7, 135.2),
        (84.7, 98.2, 133.7),
    ),
    (
        (95.3, 112.5, 154.0),
        (114.0, 136.8, 188.3),
        (100.8, 119.6, 164.0),
        (74.6, 84.6, 114.5),
    ),
)


def test_textures_stick():
  """Under ambient light alone, what moves keeps its colour."""
  changes, spreads = [], []
  for seed in range(8):
    stage = staging.stage(seed)
    looks = stage.renderer._looks
    saved = looks.diffuse, looks.gloss, looks.haze
    looks.diffuse, looks.gloss, looks.haze = np.zeros(3), 0 * saved[1], np.inf
    scene = staging.scene(seed, frames=(0, 6), num_tracks=200)
    shots = [stage.renderer.render(n, 64)[0].astype(float) for n in (0, 6)]
    looks.diffuse, looks.gloss, looks.haze = saved
    keep = scene.visible.all(1)
    colors = []
    for f in range(2):
      x, y = np.floor(scene.tracks[keep, f]).astype(int).T
      keep_inner = staging.is_inner(scene, f)[y, x]
      colors.append((shots[f][y, x], keep_inner))
    both = colors[0][1] & colors[1][1] & (scene.track_segments[keep] > 0)
    # Colour without its brightness, which follows the surface as it turns.
    hues = [c / c.sum(1, keepdims=True) for c, _ in colors]
    changes.append(np.abs(hues[0] - hues[1])[both])
    spreads.append(np.abs(hues[0] - np.roll(hues[1], 1, 0))[both])
  change = np.median(np.concatenate(changes))
  spread = np.median(np.concatenate(spreads))
  assert change < 0.01
  assert spread > 4 * change


def test_lamp_casts_shadows():
  """Dark points of the floor are those with an object before the lamp."""
  num_dark = 0
  for seed in staging.SEEDS:
    stage = staging.stage(seed)
    looks, world = stage.renderer._looks, stage.world
    saved = looks.gloss, looks.haze, looks.ambient, looks.weights
    looks.gloss, looks.haze = 0 * saved[0], np.inf
    looks.ambient, looks.weights = np.zeros(3), 0 * saved[3]
    rgb, _, depth = stage.renderer.render(20, 64)
    looks.gloss, looks.haze, looks.ambient, looks.weights = saved
    scene = staging.scene(seed, frames=(20,), num_tracks=0)
    rays = staging.rays_of(scene, 0, staging.centers(scene))
    depth = np.minimum(depth, 99).reshape(-1, 1)
    points = scene.poses[0][:3, 3] + rays * depth
    data, geom = world.pose(20), np.zeros(1, np.int32)
    shadow = np.array(
        [
            0
            <= mujoco.mj_ray(
                world.model,
                data,
                looks.lamp,
                point - looks.lamp,
                np.array([1, 0, 0, 0, 0, 0], np.uint8),
                1,
                -1,
                geom,
            )
            < 0.999
            for point in points
        ]
    ).reshape(staging.HEIGHT, -1)
    windows = np.lib.stride_tricks.sliding_window_view(shadow, (3, 3))
    even = np.pad(windows.min((2, 3)) == windows.max((2, 3)), 1)
    floor = (np.abs(points[:, 2]) < 1e-4).reshape(staging.HEIGHT, -1)
    keep = floor & even & staging.is_inner(scene, 0)
    dark = rgb.max(2) < 10
    np.testing.assert_array_equal(dark[keep], shadow[keep])
    num_dark += dark[keep].sum()
  assert num_dark > 50


def test_golden_thumbnail():
  frame = source.render(7, height=128, width=128, frames=[20])[0]
  blocks = frame.reshape(4, 32, 4, 32, 3).mean((1, 3))
  np.testing.assert_allclose(blocks, THUMBNAIL, atol=1)


def test_outlines_are_smooth():
  """A pixel is near the mean over its area, not the colour at its centre."""
  num_wrong = np.zeros(2)
  for seed in range(6):
    coarse = source.render(seed, height=32, width=32, frames=[10])[0]
    fine = source.render(seed, height=288, width=288, frames=[10])[0]
    center = fine[4::9, 4::9].astype(float)
    mean = np.square(fine / 255.0).reshape(32, 9, 32, 9, 3).mean((1, 3))
    for k, image in enumerate((coarse, center)):
      num_wrong[k] += (np.abs(image - 255 * np.sqrt(mean)) > 40).sum()
  assert num_wrong[1] > 300
  assert num_wrong[0] < 0.3 * num_wrong[1]
