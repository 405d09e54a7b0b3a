import dataclasses

import jax
from jax.sharding import Mesh
import numpy as np
import optax
import pytest

from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training.objectives import pretraining
from rvm_jax.weights import trees
from tests import tiny

CONFIG = tiny.get_config()
OBJECTIVE = pretraining.from_config(CONFIG)


def random_batch(seed):
  rng = np.random.default_rng(seed)
  return {
      key: rng.integers(0, 50 if key == 'deltas' else 256, s.shape, s.dtype)
      for key, s in OBJECTIVE.batch.items()
  }


def plain_batch(seed):
  """Clips of one colour each: easy to learn."""
  colors = np.random.default_rng(seed).integers(0, 256, (4, 1, 1, 1, 3))
  return {
      key: np.broadcast_to(colors, s.shape).astype(s.dtype)
      if s.dtype == np.uint8
      else np.full(s.shape, 5, s.dtype)
      for key, s in OBJECTIVE.batch.items()
  }


def run(*, devices=1, fsdp=1, parts=1, steps=3, optimizer=None, batch=None):
  """A few steps from the same start; returns states' params and metrics."""
  # Plain descent: Adam would blow up the rounding of gradients that are zero.
  optimizer = optimizer or optax.sgd(0.1)
  grid = np.array(jax.devices()[:devices]).reshape(devices // fsdp, fsdp)
  mesh = Mesh(grid, mesh_lib.BATCH_AXES)
  init, step = step_lib.make(
      OBJECTIVE,
      optimizer,
      mesh,
      num_microbatches=parts,
  )
  state = init(0)
  metrics = []
  with jax.set_mesh(mesh):
    for i in range(steps):
      old = state
      on_devices = mesh_lib.to_devices(batch or random_batch(i), mesh)
      state, m = step(old, on_devices)
      assert all(x.is_deleted() for x in jax.tree.leaves(old.params))
      metrics.append(jax.tree.map(float, m))
  return state, metrics


def assert_close(a, b):
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5),
      jax.device_get(a),
      jax.device_get(b),
  )


@pytest.fixture(scope='module')
def one_device():
  return run()


@pytest.mark.parametrize(
    'how',
    [
        dict(devices=2),
        dict(devices=2, fsdp=2),
        dict(parts=4),
        dict(devices=2, parts=2),
    ],
    ids=str,
)
def test_devices_shards_and_microbatches_do_not_matter(one_device, how):
  state, metrics = run(**how)
  is_split = [not x.is_fully_replicated for x in jax.tree.leaves(state.params)]
  assert any(is_split) == (how.get('fsdp', 1) > 1)
  assert_close(metrics, one_device[1])
  assert_close(state.params, one_device[0].params)


def test_fsdp_splits_parameters_and_moments_but_not_the_core():
  init, _ = step_lib.make(
      dataclasses.replace(OBJECTIVE, model=OBJECTIVE.model.clone(width=64)),
      optax.adam(1e-3),
      mesh_lib.make_mesh(fsdp=2),
      num_microbatches=1,
  )
  state = jax.eval_shape(init, 0)
  for params in (state.params, state.opt_state[0].mu):
    flat = trees.flatten(params)
    kernel = flat['encoder/layers_0/attention/query/kernel']
    spec = jax.sharding.PartitionSpec('fsdp', None, None)
    assert kernel.sharding.spec == spec
    for key, shape in flat.items():
      if key.startswith('rnn_core'):
        assert shape.sharding.is_fully_replicated, key


def test_loss_falls_on_one_batch():
  _, metrics = run(steps=30, optimizer=optax.adam(3e-3), batch=plain_batch(0))
  assert metrics[-1]['loss'] < 0.5 * metrics[0]['loss']


def test_each_step_draws_other_masks():
  _, metrics = run(steps=2, optimizer=optax.sgd(0.0), batch=random_batch(0))
  assert metrics[0]['loss'] != metrics[1]['loss']
  assert metrics[0]['update_norm'] == 0


@pytest.mark.parametrize('core_decay, expected', [(0.3, 0.3), (None, 0.1)])
def test_decay_is_for_dense_kernels_and_its_own_for_the_core(
    one_device, core_decay, expected
):
  params = one_device[0].params
  settings = dict(weight_decay=0.1, core_weight_decay=core_decay)
  optimizer, schedule = optimizer_lib.make_optimizer(
      num_steps=100, **dict(CONFIG.optimizer, **settings)
  )
  zeros = jax.tree.map(np.zeros_like, params)
  _, state = optimizer.update(zeros, optimizer.init(params), params)
  updates, _ = optimizer.update(zeros, state, params)
  updates, params = trees.flatten(updates), trees.flatten(params)
  for name, update in updates.items():
    decay = 0.0
    if name.endswith('/kernel'):
      decay = expected if name.startswith('rnn_core/') else 0.1
    np.testing.assert_allclose(
        update,
        -float(schedule(1)) * decay * params[name],
        rtol=1e-5,
        err_msg=name,
    )


@pytest.mark.parametrize('final', [0.0, 2e-4])
def test_learning_rate_warms_up_and_ends_where_it_is_told(final):
  settings = dict(warmup_steps=10, final_learning_rate=final)
  _, schedule = optimizer_lib.make_optimizer(
      num_steps=100, **dict(CONFIG.optimizer, **settings)
  )
  rates = [float(schedule(i)) for i in range(101)]
  assert rates[0] == 0 and np.argmax(rates) == 10
  assert rates[10] == pytest.approx(1e-3)
  assert rates[55] == pytest.approx((1e-3 + final) / 2)
  assert rates[100] == pytest.approx(final)
  np.testing.assert_allclose(np.diff(rates[:11]), 1e-4, rtol=1e-4)


def test_make_mesh_refuses_what_does_not_divide():
  with pytest.raises(ValueError, match='config.fsdp=3 must divide the 2'):
    mesh_lib.make_mesh(fsdp=3)
