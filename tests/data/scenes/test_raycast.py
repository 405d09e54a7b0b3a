"""Segments and depth agree with single rays of MuJoCo and with geometry."""

import mujoco
import numpy as np
import pytest

from rvm_jax.data.scenes import appearance
from rvm_jax.data.scenes import render
from tests.data import staging


@pytest.mark.parametrize('seed', staging.SEEDS)
def test_segments_and_depth_equal_single_rays_of_mujoco(seed):
  scene = staging.scene(seed)
  world = staging.stage(seed).world
  wrong = 0
  for f, number in enumerate(staging.FRAMES):
    data = world.pose(number)
    pick = np.random.default_rng(number).choice(
        staging.HEIGHT * staging.WIDTH, 400, False
    )
    rays = staging.rays_of(scene, f, staging.centers(scene)[pick])
    eye, geom = scene.poses[f][:3, 3].copy(), np.zeros(1, np.int32)
    for pixel, ray in zip(pick, rays):
      depth = mujoco.mj_ray(world.model, data, eye, ray, None, 1, -1, geom)
      expected = max(geom[0] - world.num_planes + 1, 0)
      if scene.segments[f].flat[pixel] != expected:
        # At an outline a float32 ray may pass what a float64 ray meets.
        wrong += 1
      elif depth < 0:
        assert np.isinf(scene.depth[f].flat[pixel])
      elif depth < 100:
        np.testing.assert_allclose(scene.depth[f].flat[pixel], depth, rtol=3e-5)
  assert wrong <= 1


def test_depth_of_floor_and_sphere_equals_geometry():
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
  camera = appearance.Camera(np.random.default_rng(0), np.random.default_rng(1))
  materials = appearance.Appearance(np.random.default_rng(2), 1, 1)
  renderer = render.Renderer(world, materials, camera, 40, 40)
  _, segments, depth = renderer.render(0, 2)
  pose, focal = camera.pose(0, 2), renderer.focal_length
  y, x = (np.mgrid[:40, :40] + 0.5 - 20) / focal
  rays = np.stack([x, y, np.ones_like(x)], -1) @ pose[:3, :3].T
  eye = pose[:3, 3]
  # Depth t of the floor: eye + t ray has height 0.
  floor = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
  # Depth t of the sphere of radius 0.8: the smaller root of a t^2 + 2 b t + c.
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
