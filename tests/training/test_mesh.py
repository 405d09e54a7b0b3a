"""Where arrays lie on the mesh: one table of logical axes decides."""

import dataclasses

import jax
from jax.sharding import Mesh, PartitionSpec
import numpy as np
import optax
import pytest

from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training.objectives import pretraining
from rvm_jax.weights import trees
from tests import tiny

OBJECTIVE = pretraining.from_config(tiny.get_config())
WIDE = dataclasses.replace(OBJECTIVE, model=OBJECTIVE.model.clone(width=64))


def make_state(params, axes):
  return step_lib.TrainState(
      step=np.zeros((), np.int32),
      params=params,
      opt_state=optax.adam(1e-3).init(params),
      rng=jax.random.key(0),
      axes=axes,
  )


@pytest.mark.parametrize('fsdp', [0, 3])
def test_make_mesh_refuses_fsdp_that_does_not_divide_the_devices(fsdp):
  with pytest.raises(ValueError, match=f'config.fsdp={fsdp} must divide the 2'):
    mesh_lib.make_mesh(fsdp=fsdp)


@pytest.mark.parametrize('fsdp', [1, 2])
def test_batch_is_split_over_all_devices(fsdp):
  mesh = mesh_lib.make_mesh(fsdp)
  assert mesh_lib.num_batch_shards(mesh) == 2
  rows = mesh_lib.to_devices({'x': np.arange(8).reshape(4, 2)}, mesh)['x']
  assert rows.sharding == mesh_lib.batch_sharding(mesh)
  assert [shard.data.shape for shard in rows.addressable_shards] == [(2, 2)] * 2


def test_fsdp_splits_parameters_and_moments_but_not_the_core():
  mesh = mesh_lib.make_mesh(fsdp=2)
  init, _ = step_lib.make(WIDE, optax.adam(1e-3), mesh, num_microbatches=1)
  state = jax.eval_shape(init, 0)
  for params in (state.params, state.opt_state[0].mu):
    flat = trees.flatten(params)
    kernel = flat['encoder/layers_0/attention/query/kernel']
    assert kernel.sharding.spec == PartitionSpec('fsdp', None, None)
    for key, shape in flat.items():
      is_large = shape.size >= mesh_lib.MIN_SHARDED_SIZE
      is_split = is_large and not key.startswith('rnn_core')
      assert shape.sharding.is_fully_replicated != is_split, key
  found = mesh_lib.state_shardings(state, mesh)
  assert found == jax.tree.map(lambda x: x.sharding, state)


def test_state_shardings_leave_indivisible_small_and_unnamed_leaves_whole():
  params = {
      'split': np.zeros((64, 32)),
      'odd': np.zeros((63, 32)),
      'small': np.zeros((4, 4)),
      'unnamed': np.zeros((64, 32)),
  }
  axes = tuple((key, ('embed', 'mlp')) for key in ('split', 'odd', 'small'))
  mesh = mesh_lib.make_mesh(fsdp=2)
  found = mesh_lib.state_shardings(make_state(params, axes), mesh)
  for shardings in (found.params, found.opt_state[0].nu):
    is_whole = {key: x.is_fully_replicated for key, x in shardings.items()}
    assert is_whole == {key: key != 'split' for key in params}
  assert found.step.is_fully_replicated and found.rng.is_fully_replicated


def step_on(devices, num_tensor, optimizer):
  """Makes the step for a mesh with a third axis, 'tensor'."""
  mesh = Mesh(
      np.array(devices).reshape(-1, 1, num_tensor),
      (*mesh_lib.BATCH_AXES, 'tensor'),
  )
  return mesh, *step_lib.make(WIDE, optimizer, mesh, num_microbatches=1)


def test_rules_with_a_tensor_axis_split_heads_and_mlp_and_keep_the_loss(
    monkeypatch,
):
  rules = *mesh_lib.LOGICAL_RULES, ('heads', ('tensor',)), ('mlp', ('tensor',))
  monkeypatch.setattr(mesh_lib, 'LOGICAL_RULES', rules)
  rng = np.random.default_rng(0)
  batch = {
      key: rng.integers(0, 50, shape.shape, shape.dtype)
      for key, shape in WIDE.batch.items()
  }
  losses, states = [], []
  for devices in jax.devices()[:1], jax.devices():
    mesh, init, step = step_on(devices, len(devices), optax.sgd(0.1))
    assert mesh_lib.num_batch_shards(mesh) == 1
    state = init(0)
    with jax.set_mesh(mesh):
      for _ in range(2):
        state, metrics = step(state, mesh_lib.to_devices(batch, mesh))
        losses.append(float(metrics['loss']))
    states.append(state)
  np.testing.assert_allclose(losses[2:], losses[:2], rtol=1e-5)
  np.testing.assert_allclose(
      *(state.params['cls_token'] for state in states), atol=1e-5
  )
  flat = trees.flatten(states[1].params)
  for part in ('encoder/layers_0', 'rnn_core/transformer/xa_blocks_0'):
    query = flat[f'{part}/attention/query/kernel'].sharding.spec
    assert query[1:] == ('tensor', None), part
    assert flat[f'{part}/mlp/dense_in/kernel'].sharding.spec[1] == 'tensor'
