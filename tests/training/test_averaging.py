"""The EMA of the parameters: its values, what uses it, and how runs resume."""

from absl import logging
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np
import optax
import pytest

from rvm_jax.storage import checkpoint_files
from rvm_jax.training import loop
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import resuming
from rvm_jax.training import spikes
from rvm_jax.training import step as step_lib
from rvm_jax.weights import runs
from tests.training import regression

DECAYS = pytest.mark.parametrize(
    'decays', [(None, 0.9), (0.9, None), (0.9, 0.9)]
)


def take_steps(
    count, *, decay=0.9, devices=1, dtype='float32', guard=None, **stream
):
  """Yields the states of some steps, the first one included."""
  mesh = Mesh(np.array(jax.devices()[:devices])[None], mesh_lib.BATCH_AXES)
  init, step = step_lib.make(
      regression.Regression(),
      optax.adam(1e-2),
      mesh,
      num_microbatches=1,
      gradient_dtype=dtype,
      ema_decay=decay,
      guard=guard,
  )
  stream = regression.Numbers(**stream)
  state = init(0)
  yield jax.device_get((state.params, state.ema))
  with jax.set_mesh(mesh):
    for _ in range(count):
      batch = {'numbers': next(stream)['numbers']}
      state, _ = step(state, mesh_lib.to_devices(batch, mesh))
      for x, y in zip(*map(jax.tree.leaves, (state.params, state.ema))):
        assert x.sharding == y.sharding and y.dtype == np.float32
        assert y.is_fully_replicated == (devices == 1)
      yield jax.device_get((state.params, state.ema))


@pytest.mark.parametrize(
    'devices, dtype', [(1, 'float32'), (2, 'float32'), (2, 'bfloat16')]
)
def test_ema_keeps_its_share_and_takes_the_rest_from_the_parameters(
    devices, dtype
):
  (params, ema), *states = take_steps(5, devices=devices, dtype=dtype)
  np.testing.assert_array_equal(params['mean']['kernel'], ema['mean']['kernel'])
  expected = ema['mean']['kernel'].astype(np.float64)
  for params, ema in states:
    expected = 0.9 * expected + 0.1 * params['mean']['kernel']
    np.testing.assert_allclose(ema['mean']['kernel'], expected, rtol=1e-5)
  assert abs(expected - params['mean']['kernel']).max() > 0.01


def test_a_step_that_is_skipped_leaves_the_ema_as_it_is():
  guard = spikes.Guard('skip', window=8, sigmas=6.0)
  emas = [
      x['mean']['kernel'] for _, x in take_steps(14, guard=guard, spikes=(12,))
  ]
  same = [np.array_equal(x, y) for x, y in zip(emas[:-1], emas[1:])]
  assert [i + 1 for i, is_same in enumerate(same) if is_same] == [12]


def train(workdir, decay, num_steps=10):
  """Trains; returns the last state and the parameters that were evaluated."""
  evaluated = []

  def evaluate(objective, params):
    evaluated.append(np.asarray(params['mean']['kernel']))
    return {}, {}

  config = regression.get_config(ema_decay=decay, num_steps=num_steps)
  state = loop.train(
      config,
      workdir,
      regression.Regression(),
      regression.Numbers(),
      {'it': evaluate},
  )
  return jax.device_get(state.params), jax.device_get(state.ema), evaluated


def test_evaluators_and_loading_take_the_ema(tmp_path, monkeypatch):
  told = []
  params, ema, evaluated = train(tmp_path, 0.9)
  kernel, average = params['mean']['kernel'], ema['mean']['kernel']
  assert (kernel != average).any()
  np.testing.assert_array_equal(evaluated[-1], average)
  checkpoint = runs.find_checkpoint(tmp_path)
  monkeypatch.setattr(logging, 'info', lambda x, *y: told.append(x % y))
  found = runs.read_params(checkpoint, params)
  np.testing.assert_array_equal(found['mean']['kernel'], average)
  assert [x for x in told if 'EMA' in x]
  found = runs.read_params(checkpoint, params, ema=False)
  np.testing.assert_array_equal(found['mean']['kernel'], kernel)


def test_a_run_without_ema_evaluates_and_saves_its_parameters_alone(tmp_path):
  params, ema, evaluated = train(tmp_path, None)
  assert ema is None
  np.testing.assert_array_equal(evaluated[-1], params['mean']['kernel'])
  path = checkpoint_files.locate(runs.find_checkpoint(tmp_path))
  assert set(checkpoint_files.read_shapes(path, None)) == {
      'step',
      'params',
      'opt_state',
      'rng',
  }
  found = runs.read_params(str(path), params)
  np.testing.assert_array_equal(
      found['mean']['kernel'], params['mean']['kernel']
  )


@DECAYS
def test_a_resumed_run_has_an_ema_if_its_config_says_so(
    tmp_path, warnings, decays
):
  params, ema, _ = train(tmp_path, decays[0])
  # All steps are done: the run returns what it has restored.
  again, found, _ = train(tmp_path, decays[1])
  jax.tree.map(np.testing.assert_array_equal, again, params)
  if decays[1] is None:
    assert found is None and any('is dropped' in x for x in warnings)
  else:
    jax.tree.map(np.testing.assert_array_equal, found, ema or params)
    assert any('EMA starts' in x for x in warnings) == (decays[0] is None)


def test_the_ema_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path):
  _, whole, _ = train(tmp_path / 'whole', 0.9, num_steps=9)
  # The schedule of the learning rate depends on the number of steps.
  stopped = regression.Numbers(end=7)
  config = regression.get_config(ema_decay=0.9, num_steps=9)
  with pytest.raises(regression.Interrupted):
    loop.train(config, tmp_path / 'a', regression.Regression(), stopped, {})
  _, resumed, _ = train(tmp_path / 'a', 0.9, num_steps=9)
  jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_the_ema_starts_from_parameters_that_a_run_is_given(monkeypatch):
  given = {'kernel': jnp.full(3, 7.0)}
  monkeypatch.setattr(resuming.weights, 'read_initial', lambda *_, **__: {})
  monkeypatch.setattr(resuming.weights, 'put_initial', lambda *_: given)
  fresh = step_lib.TrainState(
      step=jnp.array(0),
      params={'kernel': jnp.zeros(3)},
      opt_state=(),
      rng=jax.random.key(0),
      ema={'kernel': jnp.zeros(3)},
  )
  state = resuming.make_initial(
      fresh,
      lambda: fresh,
      {'model': {}},
      init_from='there',
      fresh_decoder=False,
  )
  np.testing.assert_array_equal(state.params['kernel'], given['kernel'])
  np.testing.assert_array_equal(state.ema['kernel'], given['kernel'])
  # A step donates both.
  params, ema = state.params['kernel'], state.ema['kernel']
  assert params.unsafe_buffer_pointer() != ema.unsafe_buffer_pointer()
