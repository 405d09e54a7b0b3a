"""Tracks, visibility, cameras and boxes agree with geometry."""

import mujoco
import numpy as np
import pytest

from tests.data import staging


@pytest.fixture(params=staging.SEEDS)
def scene(request):
  return staging.scene(request.param)


def test_tracks_start_at_pixel_centers_on_their_object(scene):
  np.testing.assert_allclose(scene.tracks[:, 0] % 1, 0.5, atol=1e-4)
  # At outlines a point may be hidden in its own frame.
  assert scene.visible[:, 0].mean() > 0.98
  x, y = np.floor(scene.tracks[:, 0]).astype(int).T
  np.testing.assert_array_equal(scene.segments[0][y, x], scene.track_segments)
  assert (scene.track_segments > 0).sum() == 32


def test_visible_tracks_lie_on_their_objects_segment(scene):
  checked = 0
  for f in range(1, len(staging.FRAMES)):
    inner = staging.is_inner(scene, f)
    seen = scene.visible[:, f]
    x, y = np.floor(scene.tracks[seen, f]).astype(int).T
    keep = inner[y, x]
    np.testing.assert_array_equal(
        scene.segments[f][y, x][keep], scene.track_segments[seen][keep]
    )
    checked += keep.sum()
  assert checked > 40


def test_points_are_visible_where_a_single_ray_reaches_them():
  hidden = 0
  for seed in staging.SEEDS:
    scene = staging.scene(seed)
    world = staging.stage(seed).world
    for f, number in enumerate(staging.FRAMES):
      # Attach the points seen in frame 0 to their bodies, from its depth.
      frames = world.pose(0).xmat.reshape(-1, 3, 3).copy()
      origins = world.data.xpos.copy()
      x, y = np.floor(scene.tracks[:, 0]).astype(int).T
      start = scene.tracks[:, 0].astype(float)
      at = staging.scene(seed, frames=(0,), num_tracks=0)
      points = at.poses[0][:3, 3] + (
          staging.rays_of(at, 0, start) * at.depth[0][y, x][:, None]
      )
      body = scene.track_segments
      local = np.einsum('pji,pj->pi', frames[body], points - origins[body])
      # Move them with their bodies to this frame, and project them.
      data = world.pose(number)
      now = (
          np.einsum('pij,pj->pi', data.xmat.reshape(-1, 3, 3)[body], local)
          + data.xpos[body]
      )
      pixels, depth = staging.project(scene, f, now)
      front = depth > 0
      np.testing.assert_allclose(
          scene.tracks[front, f], pixels[front], atol=2e-2, rtol=1e-4
      )
      # Points are visible if a ray to them meets nothing over 5 mm before them.
      eye, geom = scene.poses[f][:3, 3].copy(), np.zeros(1, np.int32)
      for p in np.flatnonzero(front):
        far = np.linalg.norm(now[p] - eye)
        met = mujoco.mj_ray(
            world.model, data, eye, (now[p] - eye) / far, None, 1, -1, geom
        )
        inside = (pixels[p] >= 0).all() and (
            pixels[p] < (staging.WIDTH, staging.HEIGHT)
        ).all()
        # Leave out points on the threshold of visibility.
        if met < 0 or abs(far - met - 0.005) > 1e-3:
          assert scene.visible[p, f] == (inside and far - met < 0.005)
        hidden += inside and not scene.visible[p, f]
  assert hidden > 100


def test_points_of_floor_and_walls_have_the_right_depth_in_other_frames(scene):
  checked = 0
  # Points seen in frame a are projected into frame b, where the depth of their
  # pixel must be their own, or another surface hides them.
  for a, b in ((0, 1), (1, 2), (3, 1)):
    depth = scene.depth[a].ravel()
    keep = (scene.segments[a].ravel() == 0) & (depth < 12)
    rays = staging.rays_of(scene, a, staging.centers(scene)[keep])
    points = scene.poses[a][:3, 3] + rays * depth[keep, None]
    pixels, expected = staging.project(scene, b, points)
    inside = ((pixels >= 0) & (pixels < (staging.WIDTH, staging.HEIGHT))).all(1)
    inside &= expected > 0
    # The point need not be at the centre of the pixel: allow for the slope of
    # the inverse depth, and leave out pixels at outlines.
    x, y = np.floor(pixels[inside]).astype(int).T
    inverse = 1 / scene.depth[b]
    slope = np.hypot(*np.gradient(inverse))
    still = (scene.segments[b][y, x] == 0) & staging.is_inner(scene, b)[y, x]
    error = np.abs(inverse[y, x] - 1 / expected[inside])
    agrees = error <= 1.5 * slope[y, x] + 1e-4
    assert agrees[still].mean() > 0.97
    checked += still.sum()
  assert checked > 1000
  for pose in scene.poses:
    turn = pose[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_boxes_enclose_the_segments_tightly(scene):
  for o, boxes in enumerate(scene.boxes):
    for f, box in enumerate(boxes):
      mask = scene.segments[f] == o + 1
      if np.isnan(box).any():
        assert not mask.any()
        continue
      x0, y0, x1, y1 = box.astype(int)
      assert mask.sum() == mask[y0:y1, x0:x1].sum() > 0
      assert mask[y0:y1, x0].any() and mask[y0:y1, x1 - 1].any()
      assert mask[y0, x0:x1].any() and mask[y1 - 1, x0:x1].any()
