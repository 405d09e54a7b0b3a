"""An objective is one file: here a small one that is not RVM's.

It trains, is evaluated, stopped, resumed and loaded by the same code.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.evals.in_training import reconstruction
from rvm_jax.evals.in_training import scenes
from rvm_jax.evals.scenes import benchmark
from rvm_jax.ops import patches
from rvm_jax.runtime import stops
from rvm_jax.training import loop
from rvm_jax.training import objectives
from rvm_jax.weights import trees
from tests import tiny
from tests.training import events
from tests.training import stopping


class MeanColour:
  """Predicts the mean colour of each source frame from features of patches."""

  def __init__(self, config):
    size = config.data.height, config.data.width, 3
    shape = config.data.batch_size, config.data.num_source, *size
    self.batch = {'source': jax.ShapeDtypeStruct(shape, 'uint8')}
    self.patch = config.model.patch
    self.encoder, self.head = nn.Dense(config.model.width), nn.Dense(3)

  def init(self, rng):
    pixels = jnp.zeros((1, self.patch**2 * 3))
    encoder = self.encoder.init(rng, pixels)['params']
    features = self.encoder.apply({'params': encoder}, pixels)
    return {'encoder': encoder, 'head': self.head.init(rng, features)['params']}

  def sample(self, rng, batch):
    return (batch['source'],)

  def encode(self, params, frames):
    pixels = patches.patchify(frames / 255, self.patch)
    features = self.encoder.apply({'params': params['encoder']}, pixels)
    grid = patches.grid(*frames.shape[2:4], self.patch)
    return features.reshape(*frames.shape[:2], *grid, -1)

  def loss(self, params, frames):
    features = self.encode(params, frames).mean((2, 3))
    found = self.head.apply({'params': params['head']}, features)
    return jnp.square(found - (frames / 255).mean((2, 3))).mean()

  def reconstruct(self, params, batch, rng):
    return None

  def cast(self, params):
    return params

  def is_core(self, path):
    return False


@pytest.fixture(autouse=True)
def known(monkeypatch):
  monkeypatch.setitem(objectives.OBJECTIVES, 'mean_colour', MeanColour)


def get_config(**changes):
  config = tiny.get_config()
  config.objective = 'mean_colour'
  config.model = ml_collections.ConfigDict(dict(width=5, patch=8))
  config.optimizer.learning_rate = 0.004
  config.update(changes)
  return config


def train(workdir, evaluators=(), stop=stops.NEVER, **changes):
  """Trains as `rvm_jax.main` does; returns the last parameters."""
  config = get_config(**changes)
  objective = objectives.from_config(config)
  data = objectives.open_data(config)
  made = {name: make(config, data) for name, make in dict(evaluators).items()}
  return loop.train(config, workdir, objective, data, made, stop=stop).params


def make_scene_evaluator(config, data):
  del data
  return scenes.SceneEvaluator(config)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """An uninterrupted run with the evaluators of `main`."""
  workdir = tmp_path_factory.mktemp('whole')
  evaluators = {
      'reconstruction': reconstruction.ReconstructionEvaluator,
      'scenes': make_scene_evaluator,
  }
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(objectives.OBJECTIVES, 'mean_colour', MeanColour)
    return workdir, train(workdir, evaluators)


def test_objective_trains_and_is_evaluated(whole):
  shown = events.read(whole[0])
  losses = [value for _, value in shown['train/loss']]
  assert losses[-1] < 0.5 * losses[0], losses
  evaluated = {key for key in shown if key.startswith('eval/')}
  assert evaluated == {f'eval/scenes/{task.name}' for task in benchmark.TASKS}
  assert [step for step, _ in shown['eval/scenes/points_aj']] == [0, 6]


def test_objective_stopped_and_resumed_equals_an_uninterrupted_run(
    whole, tmp_path
):
  with pytest.raises(loop.Preempted, match='stopped at step 3'):
    train(tmp_path, stop=stopping.StopAt(3))
  assert trees.fingerprint(train(tmp_path)) == trees.fingerprint(whole[1])


def test_load_returns_the_objective_of_a_run_and_its_parameters(whole):
  objective, params = objectives.load(whole[0])
  assert trees.fingerprint(params) == trees.fingerprint(whole[1])
  frames = np.full((1, 2, 32, 32, 3), 51, np.uint8)
  features = objective.encode(params, frames)
  assert features.shape == (1, 2, 4, 4, 5)
  np.testing.assert_array_equal(features, objective.encode(whole[1], frames))


def test_from_config_names_an_unknown_objective_and_the_known_ones():
  message = "config.objective='mae' must be one of rvm, .*, mean_colour"
  with pytest.raises(ValueError, match=message):
    objectives.from_config(get_config(objective='mae'))


def test_resuming_and_loading_rvm_refuse_a_run_of_another_objective(whole):
  message = "config.objective: saved 'mean_colour', now 'rvm'"
  with pytest.raises(ValueError, match=message):
    config = tiny.get_config()
    loop.train(
        config,
        whole[0],
        objectives.from_config(config),
        objectives.open_data(config),
        {},
    )
  message = "holds no RVM: it was trained with config.objective='mean_colour'"
  with pytest.raises(ValueError, match=message):
    weights.load(whole[0])
