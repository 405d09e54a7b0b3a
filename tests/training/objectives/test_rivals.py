"""What each objective beside RVM's does: it trains, is scored and resumes."""

import jax
import numpy as np
import optax
import pytest

from rvm_jax.evals.encoders import loading
from rvm_jax.evals.in_training import evaluators as evaluators_lib
from rvm_jax.evals.scenes import benchmark
from rvm_jax.runtime import stops
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import step as step_lib
from tests.training import events
from tests.training import stopping
from tests.training.objectives import tiny_rivals


@pytest.fixture(scope='module', autouse=True)
def compiled_once(tmp_path_factory):
  """Keeps compiled programs, since each run is started three times."""
  settings = {
      'jax_compilation_cache_dir': str(tmp_path_factory.mktemp('compiled')),
      'jax_persistent_cache_min_compile_time_secs': 0.0,
  }
  before = {key: getattr(jax.config, key) for key in settings}
  for key, value in settings.items():
    jax.config.update(key, value)
  yield
  for key, value in before.items():
    jax.config.update(key, value)


def train(name, workdir, stop=stops.NEVER, is_evaluated=False):
  """Trains as `rvm_jax.main` does; returns the last state."""
  config = tiny_rivals.get_config(name, num_steps=10, eval_every=10)
  data = objectives.open_data(config)
  return loop.train(
      config,
      workdir,
      objectives.from_config(config),
      data,
      evaluators_lib.open_all(config, data) if is_evaluated else {},
      stop=stop,
  )


@pytest.mark.parametrize('name', tiny_rivals.NAMES)
def test_run_learns_is_scored_and_resumes_bit_for_bit(name, tmp_path):
  whole = train(name, tmp_path / 'whole', is_evaluated=True)
  shown = events.read(tmp_path / 'whole')
  losses = [value for _, value in shown['train/loss']]
  assert losses[-1] < 0.95 * losses[0], losses
  scored = {key for key in shown if key.startswith('eval/')}
  expected = {f'eval/scenes/{task.name}' for task in benchmark.TASKS}
  if name != 'vjepa':
    expected.add('eval/reconstruction/loss')
  assert scored == expected

  with pytest.raises(loop.Preempted, match='stopped at step 5'):
    train(name, tmp_path / 'parts', stopping.StopAt(5))
  parts = train(name, tmp_path / 'parts')
  before, after = (jax.device_get(x.replace(rng=None)) for x in (whole, parts))
  jax.tree.map(np.testing.assert_array_equal, before, after)

  # The encoder of benchmarks gives the features that evaluators see.
  encoder = loading.load(str(tmp_path / 'whole'))
  frames = np.random.default_rng(0).integers(0, 256, (2, 5, 32, 32, 3))
  frames = frames.astype(np.uint8)
  objective = tiny_rivals.make(name)
  np.testing.assert_allclose(
      encoder.encode(frames).patches,
      jax.jit(objective.encode)(before.eval_params, frames),
      atol=1e-5,
  )
  assert encoder.name == f'{name} 16 wide'


@pytest.mark.parametrize('name', ['siammae', 'vjepa'])
def test_two_devices_and_two_parts_equal_one(name):
  objective = tiny_rivals.make(name)
  batch = tiny_rivals.make_batch(objective)
  ends = []
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
      state, metrics = step(init(0), mesh_lib.to_devices(batch, mesh))
    ends.append(jax.device_get((state.params, state.ema, metrics)))
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-6), *ends)
