"""Objects keep moving, stay on the floor, and are mostly in view."""

import numpy as np

from rvm_jax.data.scenes import source
from tests.data import staging


def test_objects_still_move_in_the_second_half_and_stay_on_the_floor():
  num_moving = []
  for stage in map(staging.stage, range(24)):
    places = np.stack([stage.world.pose(f).xpos[1:].copy() for f in range(64)])
    assert places[..., 2].min() > 0.1  # The least radius is 0.17 m.
    assert np.abs(places[..., :2]).max() < 5
    assert np.isfinite(places).all()
    pixels = []
    for f in range(32, 64):
      # Seen by a camera that stands still, so that only objects move.
      pose = stage.camera.pose(63, 64)
      x, y, z = ((places[f] - pose[:3, 3]) @ pose[:3, :3]).T
      pixels.append(np.stack([x / z, y / z], 1) * stage.renderer.focal_length)
    path = np.linalg.norm(np.diff(pixels, axis=0), axis=2).sum(0)
    num_moving.append((path > 4).sum())
  assert np.mean(np.array(num_moving) >= 2) > 0.8


def test_objects_are_mostly_in_view():
  shares = [
      np.isfinite(
          source.generate(
              seed, height=32, width=32, frames=range(0, 64, 9), num_tracks=0
          ).boxes[..., 0]
      ).mean()
      for seed in range(12)
  ]
  assert np.mean(shares) > 0.85
