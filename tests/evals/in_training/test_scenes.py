"""The evaluator of representations: held-out scenes, and what it can tell."""

import dataclasses

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


@dataclasses.dataclass(frozen=True)
class Pixels:
  """Its features are the pixels times its parameters."""

  patch: int = 8

  def apply(self, variables, frames, method):
    assert method == 'encode' and frames.dtype == jnp.float32
    tokens = patches.patchify(frames, self.patch) * variables['params']
    tokens = jnp.pad(tokens, ((0, 0), (0, 0), (1, 0), (0, 0)))  # A CLS.
    return tokens, tokens[:, -1]


@pytest.fixture(scope='module')
def evaluator():
  config = tiny.get_config()
  config.data.update(height=32, width=48)
  config.num_eval_scenes = 64
  return scenes_lib.SceneTasks(config)


def test_is_as_the_benchmark():
  """But for the size, which follows the run's frames, and their number."""
  protocol = eval_scenes.get_config().protocol.to_dict()
  clips = protocol['clips']
  assert scenes_lib.CLIPS == {
      key: value
      for key, value in clips.items()
      if key not in ('height', 'width')
  }
  assert protocol['propagation'] == scenes_lib.settle_propagation(
      clips['height'] // 8, clips['width'] // 8
  )


def test_tells_features_that_see_from_features_that_do_not(evaluator):
  with jax.set_mesh(mesh_lib.make_mesh(1)):  # As in a run, on two devices.
    scores, pictures = evaluator(Pixels(), 1.0)
    blind, _ = evaluator(Pixels(), 0.0)
  assert scores.keys() == {task.name for task in benchmark.TASKS}
  assert scores['masks_j_and_f'] > 2 * blind['masks_j_and_f']
  assert scores['points_hidden'] > blind['points_hidden'] + 3
  assert pictures.keys() == {'masks', 'motion', 'points', 'boxes', 'depth'}
  for sheet in pictures.values():
    assert sheet.dtype == np.uint8 and sheet.shape[0] >= 32
  assert evaluator(Pixels(), 1.0)[0] == scores
