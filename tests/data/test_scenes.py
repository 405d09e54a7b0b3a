"""Generated scenes: ground truth against geometry, seeds and physics."""

import hashlib
import pickle
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from rvm_jax.data import scene_looks
from rvm_jax.data import scene_render
from rvm_jax.data import scenes

SIZE = 48
FRAMES = (0, 9, 30, 63)
SEEDS = (3, 5, 11, 16, 21)

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


@pytest.fixture(scope='module', params=SEEDS)
def scene(request):
  return scenes.generate(
      request.param, height=SIZE, width=SIZE + 16, frames=FRAMES
  )


@pytest.fixture(scope='module')
def stages():
  """World, camera and renderer of the scenes of SEEDS."""
  return {s: scenes._Stage(s, SIZE, SIZE + 16, 64) for s in range(24)}


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


@pytest.mark.parametrize('seed', SEEDS)
def test_pixels_equal_single_rays_of_mujoco(stages, seed):
  scene = scenes.generate(seed, height=SIZE, width=SIZE + 16, frames=FRAMES)
  world = stages[seed].world
  wrong = 0
  for f, number in enumerate(FRAMES):
    data = world.pose(number)
    pick = np.random.default_rng(number).choice(SIZE * (SIZE + 16), 400, False)
    rays = rays_of(scene, f, centers(scene)[pick])
    eye, geom = scene.poses[f][:3, 3].copy(), np.zeros(1, np.int32)
    for pixel, ray in zip(pick, rays):
      depth = mujoco.mj_ray(
          world.model, data, eye, ray, None, 1, -1, geom
      )
      expected = max(geom[0] - world.num_planes + 1, 0)
      if scene.segments[f].flat[pixel] != expected:
        wrong += 1  # At an outline, where float32 rays may pass.
      elif depth < 0:
        assert np.isinf(scene.depth[f].flat[pixel])
      elif depth < 100:
        np.testing.assert_allclose(
            scene.depth[f].flat[pixel], depth, rtol=3e-5
        )
  assert wrong <= 1


def test_depth_of_floor_and_sphere_is_analytic():
  model = mujoco.MjModel.from_xml_string(
      '<mujoco><worldbody><geom type="plane" size="0 0 1" group="1"/>'
      '<body pos="0 0 .4"><freejoint/><geom type="sphere" size=".8"/></body>'
      '</worldbody></mujoco>'
  )
  data = mujoco.MjData(model)
  mujoco.mj_kinematics(model, data)

  class World:
    num_planes, num_objects = 1, 1

    def pose(self, frame):
      del frame
      return data

  World.model = model
  world = World()
  camera = scene_looks.Camera(
      np.random.default_rng(0), np.random.default_rng(1)
  )
  looks = scene_looks.Looks(np.random.default_rng(2), 1, 1)
  renderer = scene_render.Renderer(world, looks, camera, 40, 40)
  _, segments, depth = renderer.render(0, 2)
  pose, focal = camera.pose(0, 2), renderer.focal_length
  y, x = (np.mgrid[:40, :40] + 0.5 - 20) / focal
  rays = np.stack([x, y, np.ones_like(x)], -1) @ pose[:3, :3].T
  eye = pose[:3, 3]
  floor = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
  a, b = (rays**2).sum(-1), rays @ (eye - [0, 0, 0.4])
  c = ((eye - [0, 0, 0.4]) ** 2).sum() - 0.64
  root = b * b - a * c
  sphere = (-b - np.sqrt(np.maximum(root, 0))) / a
  on_sphere = (root > 0) & (sphere < floor)
  assert 50 < on_sphere.sum() < 1500
  np.testing.assert_array_equal(segments == 1, on_sphere)
  np.testing.assert_allclose(
      depth, np.where(on_sphere, sphere, floor), rtol=3e-5
  )


def test_tracks_start_at_pixel_centers_and_see_their_object(scene):
  np.testing.assert_allclose(scene.tracks[:, 0] % 1, 0.5, atol=1e-4)
  assert scene.visible[:, 0].mean() > 0.98  # But for outlines.
  x, y = np.floor(scene.tracks[:, 0]).astype(int).T
  np.testing.assert_array_equal(
      scene.segments[0][y, x], scene.track_segments
  )
  assert (scene.track_segments > 0).sum() == 32


def test_visible_tracks_agree_with_segments_and_depth(scene):
  checked = 0
  for f in range(1, len(FRAMES)):
    inner = is_inner(scene, f)
    seen = scene.visible[:, f]
    x, y = np.floor(scene.tracks[seen, f]).astype(int).T
    keep = inner[y, x]
    np.testing.assert_array_equal(
        scene.segments[f][y, x][keep], scene.track_segments[seen][keep]
    )
    checked += keep.sum()
  assert checked > 40


def test_visibility_is_what_one_ray_meets(stages):
  """A point is seen just when no geom is met on the way to it."""
  hidden = 0
  for seed in SEEDS:
    scene = scenes.generate(seed, height=SIZE, width=SIZE + 16, frames=FRAMES)
    world = stages[seed].world
    for f, number in enumerate(FRAMES):
      frames = world.pose(0).xmat.reshape(-1, 3, 3).copy()
      origins = world.data.xpos.copy()
      x, y = np.floor(scene.tracks[:, 0]).astype(int).T
      start = scene.tracks[:, 0].astype(float)
      at = scenes.generate(
          seed, height=SIZE, width=SIZE + 16, frames=[0], num_tracks=0
      )
      points = at.poses[0][:3, 3] + (
          rays_of(at, 0, start) * at.depth[0][y, x][:, None]
      )
      body = scene.track_segments
      local = np.einsum('pji,pj->pi', frames[body], points - origins[body])
      data = world.pose(number)
      now = np.einsum(
          'pij,pj->pi', data.xmat.reshape(-1, 3, 3)[body], local
      ) + data.xpos[body]
      pixels, depth = project(scene, f, now)
      front = depth > 0
      np.testing.assert_allclose(
          scene.tracks[front, f], pixels[front], atol=2e-2, rtol=1e-4
      )
      eye, geom = scene.poses[f][:3, 3].copy(), np.zeros(1, np.int32)
      for p in np.flatnonzero(front):
        far = np.linalg.norm(now[p] - eye)
        met = mujoco.mj_ray(
            world.model, data, eye, (now[p] - eye) / far, None, 1, -1, geom
        )
        inside = (pixels[p] >= 0).all() and (
            pixels[p] < (SIZE + 16, SIZE)
        ).all()
        if met < 0 or abs(far - met - 0.005) > 1e-3:  # Not on the threshold.
          assert scene.visible[p, f] == (inside and far - met < 0.005)
        hidden += inside and not scene.visible[p, f]
  assert hidden > 100


def test_cameras_agree_with_depth(scene):
  """Floor and walls stand still: seen again, their depth is as expected."""
  checked = 0
  for a, b in ((0, 1), (1, 2), (3, 1)):
    depth = scene.depth[a].ravel()
    keep = (scene.segments[a].ravel() == 0) & (depth < 12)
    rays = rays_of(scene, a, centers(scene)[keep])
    points = scene.poses[a][:3, 3] + rays * depth[keep, None]
    pixels, expected = project(scene, b, points)
    inside = ((pixels >= 0) & (pixels < (SIZE + 16, SIZE))).all(1)
    inside &= expected > 0
    # Compare where the depth at the pixel's centre speaks for the pixel.
    x, y = np.floor(pixels[inside]).astype(int).T
    inverse = 1 / scene.depth[b]
    slope = np.hypot(*np.gradient(inverse))
    still = (scene.segments[b][y, x] == 0) & is_inner(scene, b)[y, x]
    gap = np.abs(inverse[y, x] - 1 / expected[inside])
    agrees = gap <= 1.5 * slope[y, x] + 1e-4
    assert agrees[still].mean() > 0.97
    checked += still.sum()
  assert checked > 1000
  for pose in scene.poses:
    turn = pose[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_boxes_are_extents_of_masks(scene):
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


def test_textures_stick(stages):
  """Under ambient light alone, what moves keeps its colour."""
  changes, spreads = [], []
  for seed in range(8):
    stage = stages[seed]
    looks = stage.renderer._looks
    saved = looks.diffuse, looks.gloss, looks.haze
    looks.diffuse, looks.gloss, looks.haze = np.zeros(3), 0 * saved[1], np.inf
    scene = scenes.generate(
        seed, height=SIZE, width=SIZE + 16, frames=[0, 6], num_tracks=200
    )
    shots = [stage.renderer.render(n, 64)[0].astype(float) for n in (0, 6)]
    looks.diffuse, looks.gloss, looks.haze = saved
    keep = scene.visible.all(1)
    colors = []
    for f in range(2):
      x, y = np.floor(scene.tracks[keep, f]).astype(int).T
      keep_inner = is_inner(scene, f)[y, x]
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


def test_lamp_casts_shadows(stages):
  """Dark points of the floor are those with an object before the lamp."""
  num_dark = 0
  for seed in SEEDS:
    stage = stages[seed]
    looks, world = stage.renderer._looks, stage.world
    saved = looks.gloss, looks.haze, looks.ambient, looks.weights
    looks.gloss, looks.haze = 0 * saved[0], np.inf
    looks.ambient, looks.weights = np.zeros(3), 0 * saved[3]
    rgb, _, depth = stage.renderer.render(20, 64)
    looks.gloss, looks.haze, looks.ambient, looks.weights = saved
    scene = scenes.generate(
        seed, height=SIZE, width=SIZE + 16, frames=[20], num_tracks=0
    )
    rays = rays_of(scene, 0, centers(scene))
    depth = np.minimum(depth, 99).reshape(-1, 1)
    points = scene.poses[0][:3, 3] + rays * depth
    data, geom = world.pose(20), np.zeros(1, np.int32)
    shadow = np.array([
        0 <= mujoco.mj_ray(
            world.model, data, looks.lamp, point - looks.lamp,
            np.array([1, 0, 0, 0, 0, 0], np.uint8), 1, -1, geom,
        ) < 0.999
        for point in points
    ]).reshape(SIZE, -1)
    windows = np.lib.stride_tricks.sliding_window_view(shadow, (3, 3))
    even = np.pad(windows.min((2, 3)) == windows.max((2, 3)), 1)
    floor = (np.abs(points[:, 2]) < 1e-4).reshape(SIZE, -1)
    keep = floor & even & is_inner(scene, 0)
    dark = rgb.max(2) < 10
    np.testing.assert_array_equal(dark[keep], shadow[keep])
    num_dark += dark[keep].sum()
  assert num_dark > 50


def test_any_subset_is_the_same_bit_for_bit():
  whole = scenes.generate(8, height=32, width=40)
  part = scenes.generate(8, height=32, width=40, frames=[37, 2, 50])
  for name in ('frames', 'segments', 'depth', 'poses'):
    np.testing.assert_array_equal(
        getattr(whole, name)[[37, 2, 50]], getattr(part, name)
    )
  for name in ('tracks', 'visible', 'boxes'):
    np.testing.assert_array_equal(
        getattr(whole, name)[:, [37, 2, 50]], getattr(part, name)
    )
  np.testing.assert_array_equal(
      scenes.render(8, height=32, width=40, frames=[37]), whole.frames[37:38]
  )
  assert len(whole.frames) == 64


def test_another_process_draws_the_same_bytes():
  code = (
      'import hashlib; from rvm_jax.data import scenes; '
      'scenes.render(1, height=8, width=8); '
      's = scenes.generate(4, height=32, width=32, frames=[60, 5]); '
      'print(hashlib.sha256(s.frames.tobytes() + s.depth.tobytes()'
      ' + s.tracks.tobytes()).hexdigest())'
  )
  other = subprocess.run(
      [sys.executable, '-c', code], check=True, capture_output=True, text=True
  )
  s = scenes.generate(4, height=32, width=32, frames=[60, 5])
  data = s.frames.tobytes() + s.depth.tobytes() + s.tracks.tobytes()
  assert other.stdout.strip() == hashlib.sha256(data).hexdigest()


def test_golden_thumbnail():
  frame = scenes.render(7, height=128, width=128, frames=[20])[0]
  blocks = frame.reshape(4, 32, 4, 32, 3).mean((1, 3))
  np.testing.assert_allclose(blocks, THUMBNAIL, atol=1)


def test_outlines_are_smooth():
  """A pixel is near the mean over its area, not the colour at its centre."""
  num_wrong = np.zeros(2)
  for seed in range(6):
    coarse = scenes.render(seed, height=32, width=32, frames=[10])[0]
    fine = scenes.render(seed, height=288, width=288, frames=[10])[0]
    center = fine[4::9, 4::9].astype(float)
    mean = np.square(fine / 255.0).reshape(32, 9, 32, 9, 3).mean((1, 3))
    for k, image in enumerate((coarse, center)):
      num_wrong[k] += (np.abs(image - 255 * np.sqrt(mean)) > 40).sum()
  assert num_wrong[1] > 300
  assert num_wrong[0] < 0.3 * num_wrong[1]


def test_motions_are_balanced_and_apart_from_the_scene():
  motions, nums = [], []
  for seed in range(400):
    streams = np.random.SeedSequence(seed).spawn(5)
    rngs = [np.random.Generator(np.random.PCG64(s)) for s in streams]
    motions.append(scene_looks.Camera(rngs[2], rngs[3]).motion)
    nums.append(rngs[0].integers(3, 9))
  counts = np.bincount(motions, minlength=len(scenes.MOTIONS))
  # Chi-square with 7 degrees of freedom: above 24.3 once in a thousand.
  assert ((counts - 50) ** 2 / 50).sum() < 24.3
  assert abs(np.corrcoef(np.array(motions) % 2, nums)[0, 1]) < 0.15


@pytest.mark.parametrize('motion', range(len(scenes.MOTIONS)))
def test_motion_is_its_pair_backwards(motion):
  def path(motion):
    camera = scene_looks.Camera(
        np.random.default_rng(5), np.random.default_rng(6)
    )
    camera.motion, camera._sway = motion, np.zeros((3, 2))
    return np.stack([camera.pose(f, 9) for f in range(9)]), camera._target

  poses, target = path(motion)
  np.testing.assert_allclose(poses, path(motion ^ 1)[0][::-1], atol=1e-12)
  first, last = poses[0], poses[-1]
  moved = (last[:3, 3] - first[:3, 3]) @ poses[4][:3, :3]
  closer = np.linalg.norm(first[:3, 3] - target) - np.linalg.norm(
      last[:3, 3] - target
  )
  tilt = last[2, 0] - first[2, 0]  # How much the camera's right side rises.
  what = {
      'orbit_left': -moved[0],
      'dolly_in': closer,
      'crane_up': last[2, 3] - first[2, 3],
      'roll_left': tilt,
  }[scenes.MOTIONS[motion - motion % 2]]
  assert what * (1 - 2 * (motion % 2)) > 0.1


def test_objects_move_to_the_end_and_stay(stages):
  num_moving = []
  for stage in stages.values():
    places = np.stack([stage.world.pose(f).xpos[1:].copy() for f in range(64)])
    assert places[..., 2].min() > 0.1  # The least radius is 0.17 m.
    assert np.abs(places[..., :2]).max() < 5
    assert np.isfinite(places).all()
    pixels = []
    for f in range(32, 64):
      pose = stage.camera.pose(63, 64)  # Held still: the objects' own motion.
      x, y, z = ((places[f] - pose[:3, 3]) @ pose[:3, :3]).T
      pixels.append(np.stack([x / z, y / z], 1) * stage.renderer.focal_length)
    path = np.linalg.norm(np.diff(pixels, axis=0), axis=2).sum(0)
    num_moving.append((path > 4).sum())
  assert np.mean(np.array(num_moving) >= 2) > 0.8


def test_objects_are_mostly_in_view():
  shares = [
      np.isfinite(
          scenes.generate(
              seed, height=32, width=32, frames=range(0, 64, 9), num_tracks=0
          ).boxes[..., 0]
      ).mean()
      for seed in range(12)
  ]
  assert np.mean(shares) > 0.85


def test_source_follows_the_contract():
  source = pickle.loads(pickle.dumps(scenes.Scenes(10, 24, 32, seed=3)))
  assert len(source) == 10
  record = source[7]
  assert record['clip'].dtype == np.int64
  np.testing.assert_array_equal(record['clip'], [7, 0])
  assert record['num_frames'] == 64 and record['window'] == (0, 64)
  assert record['frame_rate'] == scenes.FRAME_RATE == 24.0
  frames = record['read']([3, 50])
  assert frames.shape == (2, 24, 32, 3) and frames.dtype == np.uint8
  scene = scenes.generate(
      source.scene_seed(7), height=24, width=32, frames=[3, 50]
  )
  np.testing.assert_array_equal(frames, scene.frames)
  assert 'scene 7' in source.describe(record['clip'])
  with pytest.raises(IndexError):
    source[10]


def test_splits_and_seeds_share_no_scene():
  seeds = [
      scenes.Scenes(50, 8, 8, seed=seed, split=split).scene_seed(i)
      for seed in range(3)
      for split in scenes.SPLITS
      for i in range(50)
  ]
  assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'seed': -1}, 'seed=-1: expected at least 0'),
        ({'height': 0}, 'height=0'),
        ({'width': -4}, 'width=-4'),
        ({'num_frames': 0}, 'num_frames=0'),
        ({'frames': [64]}, r'frames: .*\[0, 64\), got 64'),
        ({'frames': [-1]}, r'frames: .*got -1'),
        ({'track_frame': 64}, 'track_frame: .*got 64'),
        ({'num_tracks': -1}, 'num_tracks=-1'),
    ],
)
def test_bad_numbers_are_named(change, message):
  with pytest.raises(ValueError, match=message):
    scenes.generate(**({'seed': 0, 'height': 8, 'width': 8} | change))


def test_bad_sources_are_named():
  with pytest.raises(ValueError, match='num_scenes=0'):
    scenes.Scenes(0, 8, 8)
  with pytest.raises(ValueError, match="split='test': expected one of"):
    scenes.Scenes(1, 8, 8, split='test')
