"""Classes of camera motion are equally frequent, and go the way they say."""

import numpy as np
import pytest

from rvm_jax.data.scenes import appearance
from rvm_jax.data.scenes import source


def test_motions_are_equally_frequent_and_independent_of_the_scene():
  motions, nums = [], []
  for seed in range(400):
    streams = np.random.SeedSequence(seed).spawn(5)
    rngs = [np.random.Generator(np.random.PCG64(s)) for s in streams]
    motions.append(appearance.Camera(rngs[2], rngs[3]).motion)
    nums.append(rngs[0].integers(3, 9))
  counts = np.bincount(motions, minlength=len(source.MOTIONS))
  # Chi-square with 7 degrees of freedom: above 24.3 once in a thousand.
  assert ((counts - 50) ** 2 / 50).sum() < 24.3
  assert abs(np.corrcoef(np.array(motions) % 2, nums)[0, 1]) < 0.15


@pytest.mark.parametrize('motion', range(len(source.MOTIONS)))
def test_motion_backwards_is_the_other_of_its_pair_and_goes_the_named_way(
    motion,
):
  def path(motion):
    """Returns poses [9, 4, 4] of a camera without sway, and its target."""
    camera = appearance.Camera(
        np.random.default_rng(5), np.random.default_rng(6)
    )
    camera.motion, camera._sway = motion, np.zeros((3, 2))
    return np.stack([camera.pose(f, 9) for f in range(9)]), camera._target

  poses, target = path(motion)
  np.testing.assert_allclose(poses, path(motion ^ 1)[0][::-1], atol=1e-12)
  # How far the camera moves along its own axes in the middle of the path, and
  # how much nearer it comes to its target.
  first, last = poses[0], poses[-1]
  moved = (last[:3, 3] - first[:3, 3]) @ poses[4][:3, :3]
  closer = np.linalg.norm(first[:3, 3] - target) - np.linalg.norm(
      last[:3, 3] - target
  )
  # How much the camera's right side rises.
  tilt = last[2, 0] - first[2, 0]
  progress = {
      'orbit_left': -moved[0],
      'dolly_in': closer,
      'crane_up': last[2, 3] - first[2, 3],
      'roll_left': tilt,
  }[source.MOTIONS[motion - motion % 2]]
  # The second class of a pair goes the opposite way.
  assert progress * (1 - 2 * (motion % 2)) > 0.1
