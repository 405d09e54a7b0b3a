"""Textures stick to surfaces, and shadows lie where the lamp is hidden."""

import copy

import mujoco
import numpy as np

from tests.data import staging


def render_with(stage, frame, **changes):
  """Renders a frame of a scene with changed attributes of its appearance."""
  renderer = copy.copy(stage.renderer)
  renderer._appearance = copy.copy(renderer._appearance)
  vars(renderer._appearance).update(changes)
  return renderer.render(frame, 64)


def test_textures_stick_to_moving_surfaces():
  """Under ambient light alone, a tracked point keeps its hue."""
  changes, spreads = [], []
  for seed in range(8):
    stage = staging.stage(seed)
    scene = staging.scene(seed, frames=(0, 6), num_tracks=200)
    keep = scene.visible.all(1)
    colors = []
    for f, number in enumerate((0, 6)):
      rgb, _, _ = render_with(
          stage,
          number,
          diffuse=np.zeros(3),
          gloss=0 * stage.renderer._appearance.gloss,
          haze=np.inf,
      )
      x, y = np.floor(scene.tracks[keep, f]).astype(int).T
      is_inner = staging.is_inner(scene, f)[y, x]
      colors.append((rgb[y, x].astype(float), is_inner))
    both = colors[0][1] & colors[1][1] & (scene.track_segments[keep] > 0)
    # Colour without its brightness, which follows the surface as it turns.
    hues = [c / c.sum(1, keepdims=True) for c, _ in colors]
    changes.append(np.abs(hues[0] - hues[1])[both])
    spreads.append(np.abs(hues[0] - np.roll(hues[1], 1, 0))[both])
  change = np.median(np.concatenate(changes))
  spread = np.median(np.concatenate(spreads))
  assert change < 0.005
  assert spread > 4 * change


def test_floor_is_dark_exactly_where_an_object_hides_the_lamp():
  num_dark = 0
  for seed in staging.SEEDS:
    stage = staging.stage(seed)
    world, appearance = stage.world, stage.renderer._appearance
    rgb, _, depth = render_with(
        stage,
        20,
        gloss=0 * appearance.gloss,
        haze=np.inf,
        ambient=np.zeros(3),
        weights=0 * appearance.weights,
    )
    scene = staging.scene(seed, frames=(20,), num_tracks=0)
    rays = staging.rays_of(scene, 0, staging.centers(scene))
    depth = np.minimum(depth, 99).reshape(-1, 1)
    points = scene.poses[0][:3, 3] + rays * depth
    data, geom = world.pose(20), np.zeros(1, np.int32)
    # Independently of the renderer: single rays from the lamp to each point.
    shadow = np.array(
        [
            0
            <= mujoco.mj_ray(
                world.model,
                data,
                appearance.lamp,
                point - appearance.lamp,
                np.array([1, 0, 0, 0, 0, 0], np.uint8),
                1,
                -1,
                geom,
            )
            < 0.999
            for point in points
        ]
    ).reshape(staging.HEIGHT, -1)
    # Pixels at the edge of a shadow may go either way.
    windows = np.lib.stride_tricks.sliding_window_view(shadow, (3, 3))
    is_even = np.pad(windows.min((2, 3)) == windows.max((2, 3)), 1)
    is_floor = (np.abs(points[:, 2]) < 1e-4).reshape(staging.HEIGHT, -1)
    keep = is_floor & is_even & staging.is_inner(scene, 0)
    is_dark = rgb.max(2) < 10
    np.testing.assert_array_equal(is_dark[keep], shadow[keep])
    num_dark += is_dark[keep].sum()
  assert num_dark > 50
