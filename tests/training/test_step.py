"""A step computes the same however it is split, and it learns."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np
import optax
import pytest

from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training.objectives import pretraining
from tests import tiny
from tests.training import regression

CONFIG = tiny.get_config()
OBJECTIVE = pretraining.from_config(CONFIG)


def random_batch(seed):
  rng = np.random.default_rng(seed)
  return {
      key: rng.integers(0, 50 if key == 'deltas' else 256, s.shape, s.dtype)
      for key, s in OBJECTIVE.batch.items()
  }


def plain_batch(seed):
  """A batch in which each clip has a single colour: easy to learn."""
  colors = np.random.default_rng(seed).integers(0, 256, (4, 1, 1, 1, 3))
  return {
      key: np.broadcast_to(colors, s.shape).astype(s.dtype)
      if s.dtype == np.uint8
      else np.full(s.shape, 5, s.dtype)
      for key, s in OBJECTIVE.batch.items()
  }


def run(*, devices=1, fsdp=1, parts=1, steps=3, optimizer=None, batch=None):
  """Runs a few steps; returns the last state and the metrics of each step."""
  # Gradient descent, because Adam amplifies rounding in tiny gradients.
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
        dict(devices=2, fsdp=2, parts=2),
    ],
    ids=str,
)
def test_step_gives_the_same_for_any_devices_shards_and_microbatches(
    one_device, how
):
  state, metrics = run(**how)
  is_split = [not x.is_fully_replicated for x in jax.tree.leaves(state.params)]
  assert any(is_split) == (how.get('fsdp', 1) > 1)
  assert_close(metrics, one_device[1])
  assert_close(state.params, one_device[0].params)


def test_step_lowers_the_loss_of_a_repeated_batch():
  _, metrics = run(steps=30, optimizer=optax.adam(3e-3), batch=plain_batch(0))
  assert metrics[-1]['loss'] < 0.5 * metrics[0]['loss']


def test_step_samples_other_masks_each_time():
  _, metrics = run(steps=2, optimizer=optax.sgd(0.0), batch=random_batch(0))
  assert metrics[0]['loss'] != metrics[1]['loss']
  assert metrics[0]['update_norm'] == 0


def test_step_without_guard_is_the_program_of_forward_backward_and_update():
  objective, optimizer = regression.Regression(), optax.adam(1e-3)
  state = step_lib.init_state(objective, optimizer, 0)
  assert type(state) is step_lib.TrainState
  batch = {'numbers': next(regression.Numbers())['numbers']}

  def plain(state, batch):
    inputs = objective.sample(jax.random.fold_in(state.rng, state.step), batch)
    value_and_grad = jax.value_and_grad(objective.loss)
    loss, gradient = value_and_grad(state.params, *inputs)
    updates, opt_state = optimizer.update(
        gradient, state.opt_state, state.params
    )
    params = optax.apply_updates(state.params, updates)
    change = jax.tree.map(jnp.subtract, params, state.params)
    norms = optax.tree.norm(gradient), optax.tree.norm(change)
    metrics = dict(
        zip(('loss', 'gradient_norm', 'update_norm'), (loss, *norms))
    )
    step = state.step + 1
    return state.replace(step=step, params=params, opt_state=opt_state), metrics

  def step(state, batch):
    return step_lib.train_step(
        state,
        batch,
        objective=objective,
        optimizer=optimizer,
        value_and_grad=lambda params, inputs: jax.value_and_grad(
            objective.loss
        )(params, *inputs),
    )

  # The text of a program has all of its equations, with names by position.
  found, expected = (
      str(jax.make_jaxpr(f)(state, batch)) for f in (step, plain)
  )
  assert found == expected
