"""Where arrays lie on the mesh, and what each device computes."""

import dataclasses
import types

import jax
from jax.sharding import PartitionSpec
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


@pytest.mark.parametrize('num_parts', [1, 2])
def test_state_is_split_along_the_first_axis_that_divides(num_parts):
  mesh = mesh_lib.make_mesh(fsdp=num_parts)
  state = {
      'first': np.zeros((64, 32)),
      'second': np.zeros((63, 32)),
      'odd': np.zeros((63, 33)),
      'small': np.zeros((4, 4)),
      'scalar': np.zeros(()),
  }
  found = mesh_lib.state_shardings(state, mesh)
  specs = {key: x.spec for key, x in found.items()}
  whole = dict.fromkeys(state, PartitionSpec())
  split = {
      'first': PartitionSpec('fsdp'),
      'second': PartitionSpec(None, 'fsdp'),
  }
  assert specs == (whole | split if num_parts == 2 else whole)


def test_fsdp_splits_parameters_and_their_moments_alike():
  mesh = mesh_lib.make_mesh(fsdp=2)
  init, _ = step_lib.make(WIDE, optax.adam(1e-3), mesh, num_microbatches=1)
  state = jax.eval_shape(init, 0)
  adam = state.opt_state[0]
  specs, *of_moments = (
      jax.tree.map(lambda x: x.sharding.spec, tree)
      for tree in (state.params, adam.mu, adam.nu)
  )
  assert of_moments == [specs, specs]
  for key, x in trees.flatten(state.params).items():
    is_large = x.size >= mesh_lib.MIN_SHARDED_SIZE
    assert x.sharding.is_fully_replicated != is_large, key


@pytest.mark.parametrize('num_rows', [3, 4])
def test_map_rows_gives_each_device_its_own_rows(num_rows):
  seen = []

  def double(params, rows):
    seen.append(len(rows))
    return params * rows

  rows = np.arange(num_rows * 2.0).reshape(num_rows, 2)
  params = np.float64(2)

  def run(make):
    # The mesh is looked up when the function is traced.
    return jax.jit(lambda *args: make(double)(*args))(params, rows)

  alone = run(mesh_lib.map_rows)
  with jax.set_mesh(mesh_lib.make_mesh(fsdp=1)):
    found = run(mesh_lib.map_rows)
    repeated = run(mesh_lib.repeat)
  for result in (alone, found, repeated):
    np.testing.assert_array_equal(result, 2 * rows)
  # Three rows cannot be divided between two devices.
  assert seen == [num_rows, 2 if num_rows == 4 else 3, num_rows]


def test_fsdp_lies_inside_of_a_slice_of_tpus():
  devices = [
      types.SimpleNamespace(platform='tpu', slice_index=i // 4)
      for i in range(8)
  ]
  with pytest.raises(ValueError, match='divide the 4 devices of a slice'):
    mesh_lib.make_mesh(8, devices)


@dataclasses.dataclass(frozen=True)
class Chip:
  """What a `jax.Device` says of a TPU v6e, which has one core a chip."""

  slice_index: int
  coords: tuple[int, int, int]
  platform: str = 'tpu'
  device_kind: str = 'TPU v6 lite'
  core_on_chip: int = 0

  @property
  def process_index(self):
    return self.slice_index


@pytest.mark.parametrize('num_slices', [1, 2, 3])
@pytest.mark.parametrize('fsdp', [1, 2, 4, 16])
def test_slices_follow_each_other_along_data_and_fsdp_stays_in_one(
    num_slices, fsdp
):
  # Slices of 4 x 4 chips, in any order.
  devices = [
      Chip(i // 16, (i % 4, i % 16 // 4, 0)) for i in range(16 * num_slices)
  ]
  order = np.random.default_rng(0).permutation(len(devices))
  mesh = mesh_lib.make_mesh(fsdp, [devices[i] for i in order])
  assert mesh.axis_names == ('data', 'fsdp')
  assert mesh.devices.shape == (16 * num_slices // fsdp, fsdp)
  assert set(mesh.devices.flat) == set(devices)
  slices = [[x.slice_index for x in row] for row in mesh.devices]
  assert slices == sorted(
      [i] * fsdp for i in range(num_slices) for _ in range(16 // fsdp)
  )
  # The devices of a group are neighbours, which have the fast links.
  for row in mesh.devices:
    spans = np.ptp([x.coords for x in row], axis=0) + 1
    assert np.prod(spans) == fsdp
