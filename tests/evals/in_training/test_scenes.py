"""Tests the evaluator that scores features on generated scenes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import eval_scenes
from rvm_jax.evals.in_training import scenes as scenes_lib
from rvm_jax.evals.scenes import benchmark
from rvm_jax.ops import patches
from rvm_jax.training import mesh as mesh_lib
from tests import tiny


class Pixels:
  """An objective whose features are the pixels times its only parameter."""

  patch = 8

  def encode(self, params, frames):
    assert frames.dtype == jnp.uint8
    grid = patches.grid(*frames.shape[2:4], self.patch)
    features = patches.patchify(frames / 255, self.patch) * params
    return features.reshape(*frames.shape[:2], *grid, -1)


OBJECTIVE = Pixels()


@pytest.fixture(scope='module')
def evaluator():
  config = tiny.get_config()
  config.data.update(height=32, width=48)
  config.num_eval_scenes = 64
  return scenes_lib.SceneEvaluator(config)


def test_settings_are_those_of_the_benchmark_except_for_the_frame_size():
  protocol = eval_scenes.get_config().protocol.to_dict()
  clips = protocol['clips']
  assert scenes_lib.CLIPS == {
      key: value
      for key, value in clips.items()
      if key not in ('height', 'width')
  }
  assert protocol['propagation'] == scenes_lib.choose_propagation(
      clips['height'] // 8, clips['width'] // 8
  )


def test_pixels_score_higher_than_features_of_zeros(evaluator):
  # The mesh is that of a training run on two devices.
  with jax.set_mesh(mesh_lib.make_mesh(1)):
    scores, pictures = evaluator(OBJECTIVE, 1.0)
    zeros, _ = evaluator(OBJECTIVE, 0.0)
  assert scores.keys() == {task.name for task in benchmark.TASKS}
  assert scores['masks_j_and_f'] > 2 * zeros['masks_j_and_f']
  assert scores['points_hidden'] > zeros['points_hidden'] + 3
  assert pictures.keys() == {'masks', 'motion', 'points', 'boxes', 'depth'}
  for sheet in pictures.values():
    assert sheet.dtype == np.uint8 and sheet.shape[0] >= 32
  # A second call, without a mesh, gives the same scores.
  assert evaluator(OBJECTIVE, 1.0)[0] == scores


class Stopping:
  """A check that raises at call number `limit`; with 0 it never raises."""

  def __init__(self, limit=0):
    self.calls, self.limit = 0, limit

  def __call__(self):
    self.calls += 1
    if self.calls == self.limit:
      raise InterruptedError


def test_evaluation_can_be_stopped_between_its_parts():
  config = tiny.get_config()
  check = Stopping(3)
  with pytest.raises(InterruptedError):
    scenes_lib.SceneEvaluator(config, check)
  assert check.calls == 3

  evaluator = scenes_lib.SceneEvaluator(config, check)
  assert check.calls == 3 + config.num_eval_scenes
  check.calls = check.limit = 0
  whole, _ = evaluator(OBJECTIVE, 1.0)
  num_times = scenes_lib.CLIPS['num_frames'] - 1
  num_regressions, num_test = 3 + 2 * num_times, config.num_eval_scenes // 4
  # One batch of training clips.
  assert check.calls == 1 + num_regressions + num_test
  check.calls, check.limit = 0, 5
  with pytest.raises(InterruptedError):
    evaluator(OBJECTIVE, 1.0)
  assert evaluator(OBJECTIVE, 1.0)[0] == whole
