"""A small training state, and the config of the run that saves it."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np

from rvm_jax.training import step as step_lib

CONFIG = {
    'num_steps': 9,
    'model': {'width': 16, 'remat': 'none'},
    'data': {'sources': ('scenes',)},
}


def make_state(step):
  return step_lib.TrainState(
      step=jnp.asarray(step, jnp.int32),
      params={'kernel': step + jnp.arange(120_000.0).reshape(300, 400)},
      opt_state=(),
      rng=jax.random.key(step),
  )


def shapes(num_devices=1):
  """The shapes of a state whose kernel is split over the devices."""
  mesh = jax.make_mesh((num_devices,), ('fsdp',))

  def shape(x):
    spec = PartitionSpec(*(['fsdp'] if x.ndim else []))
    sharding = NamedSharding(mesh, spec)
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

  return jax.tree.map(shape, make_state(0))


def assert_restores(run, step):
  """Asserts that the state of a step comes back with every bit."""
  state, data = run.restore(shapes(), CONFIG)
  expected = make_state(step)
  np.testing.assert_array_equal(
      state.params['kernel'], expected.params['kernel']
  )
  assert int(state.step) == step and state.rng == expected.rng
  assert data == {'at': 10 * step}
