"""Each objective other than RVM's trains, is scored and resumes."""

import shutil

import jax
import numpy as np
import optax
import pytest

from rvm_jax.evals.encoders import loading
from rvm_jax.evals.in_training import evaluators as evaluators_lib
from rvm_jax.evals.in_training import scenes
from rvm_jax.evals.scenes import benchmark
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import program as program_lib
from rvm_jax.training import step as step_lib
from tests import tiny
from tests.training import events
from tests.training.objectives import tiny_rivals


@pytest.fixture
def built_once(monkeypatch):
  """Lets all starts of the run of a test share one compiled program."""
  build, built = program_lib.build, []

  def build_once(config, objective):
    if not built:
      built.append(build(config, objective))
    return built[0]

  monkeypatch.setattr(program_lib, 'build', build_once)


@pytest.fixture(scope='module')
def score_scenes():
  """The evaluator on scenes: a few short ones, the same for all objectives."""
  config = tiny_rivals.get_config('joint', num_eval_scenes=8)
  few = dict(num_frames=4, num_points=6)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(scenes, 'CLIPS', scenes.CLIPS | few)
    yield scenes.SceneEvaluator(config)


def train(name, workdir, score_scenes=None):
  """Trains as `rvm_jax.main` does; returns the last state, on the host.

  Args:
    name: name of the objective.
    workdir: folder of the run.
    score_scenes: evaluator on scenes; None to train without evaluators.
  """
  config = tiny_rivals.get_config(name, num_steps=10, eval_every=10)
  config.checkpoint.save_every = 6
  config.num_eval_scenes = 0  # They were generated for all objectives.
  data = objectives.open_data(config)
  evaluators = {}
  if score_scenes:
    evaluators = evaluators_lib.open_all(config, data)
    evaluators['scenes'] = score_scenes
  state = loop.train(
      config, workdir, objectives.from_config(config), data, evaluators
  )
  return jax.device_get(state.replace(rng=None))


@pytest.mark.usefixtures('built_once')
@pytest.mark.parametrize('name', tiny_rivals.NAMES)
def test_run_learns_is_scored_and_resumes_bit_for_bit(
    name, tmp_path, score_scenes
):
  before = train(name, tmp_path)
  losses = [value for _, value in events.read(tmp_path)['train/loss']]
  assert losses[-1] < 0.95 * losses[0], losses

  # Without its last checkpoint the run goes on from the one before, and is
  # evaluated at the end.
  shutil.rmtree(tmp_path / 'checkpoints' / '10')
  after = train(name, tmp_path, score_scenes)
  jax.tree.map(np.testing.assert_array_equal, before, after)
  shown = events.read(tmp_path)
  assert [step for step, _ in shown['train/loss']] == [2, 4, 6, 8, 10]
  scored = {key for key in shown if key.startswith('eval/')}
  expected = {f'eval/scenes/{task.name}' for task in benchmark.TASKS}
  if name != 'vjepa':
    expected.add('eval/reconstruction/loss')
  assert scored == expected

  # The encoder of benchmarks gives the features that evaluators see.
  encoder = loading.load(str(tmp_path))
  frames = np.random.default_rng(0).integers(0, 256, (2, 5, 32, 32, 3))
  frames = frames.astype(np.uint8)
  objective = tiny_rivals.make(name)
  np.testing.assert_allclose(
      encoder.encode(frames).patches,
      jax.jit(objective.encode)(before.eval_params, frames),
      atol=1e-5,
  )
  assert encoder.name == f'{name} 16 wide'


@pytest.mark.parametrize('name', ['rvm', *tiny_rivals.NAMES])
def test_parameters_are_float32_where_jax_has_float64(name):
  config = tiny.get_config() if name == 'rvm' else tiny_rivals.get_config(name)
  with jax.enable_x64():
    params = jax.eval_shape(
        objectives.from_config(config).init, jax.random.key(0)
    )
  assert {x.dtype for x in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_two_devices_and_two_parts_equal_one():
  # Of all objectives this one alone uses the EMA too.
  objective = tiny_rivals.make('vjepa')
  batch = tiny_rivals.make_batch(objective)
  initial, ends = None, []
  for num_devices, num_parts in ((1, 1), (2, 2)):
    # With two devices the parameters and their EMA are split.
    mesh = mesh_lib.make_mesh(num_devices, jax.devices()[:num_devices])
    init, step = step_lib.make(
        objective,
        optax.sgd(0.1),
        mesh,
        num_microbatches=num_parts,
        ema_decay=0.9,
    )
    with jax.set_mesh(mesh):
      if initial is None:
        initial = init(0)
      shapes = jax.eval_shape(init, 0)
      state = jax.tree.map(
          lambda x, y: jax.device_put(x, y.sharding, may_alias=False),
          initial,
          shapes,
      )
      state, metrics = step(state, mesh_lib.to_devices(batch, mesh))
    ends.append(jax.device_get((state.params, state.ema, metrics)))
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-6), *ends)
