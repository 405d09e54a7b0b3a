"""Devices as a mesh, and where each array lies on it."""

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

# A batch is split over every device: over both axes of the mesh.
BATCH_AXES = ('data', 'fsdp')
# What the model's `with_logical_constraint`s mean on this mesh.
LOGICAL_RULES = (('batch', BATCH_AXES),)

# Leaves smaller than this stay whole on each device: gathering them would cost
# more than they take.
MIN_SHARDED_SIZE = 2**10


def make_mesh(fsdp: int) -> Mesh:
  """All devices as a (data, fsdp) mesh; parameters are split over `fsdp`.

  Raises:
    ValueError: `fsdp` does not divide the number of devices.
  """
  count = jax.device_count()
  if fsdp < 1 or count % fsdp:
    raise ValueError(
        f'config.fsdp={fsdp} must divide the {count} devices of this run'
    )
  return jax.make_mesh(
      (count // fsdp, fsdp),
      BATCH_AXES,
      axis_types=(jax.sharding.AxisType.Auto,) * 2,
  )


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """The first axis over all devices."""
  return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def state_shardings(state: Any, mesh: Mesh) -> Any:
  """For each leaf of `state`: its longest divisible axis over `fsdp`.

  The recurrent core stays whole on every device: sharded, its parameters would
  be gathered anew for every frame inside the recurrence.

  Args:
    state: a tree of arrays or `jax.ShapeDtypeStruct`s.
    mesh: of `make_mesh`.

  Returns:
    The same tree of `NamedSharding`s.
  """
  parts = mesh.shape['fsdp']

  def leaf_sharding(path, leaf):
    spec = [None] * leaf.ndim
    if parts > 1 and leaf.size >= MIN_SHARDED_SIZE and not _in_core(path):
      for axis in sorted(range(leaf.ndim), key=lambda i: -leaf.shape[i]):
        if leaf.shape[axis] % parts == 0:
          spec[axis] = 'fsdp'
          break
    return NamedSharding(mesh, PartitionSpec(*spec))

  return jax.tree_util.tree_map_with_path(leaf_sharding, state)


def _in_core(path: tuple[Any, ...]) -> bool:
  return 'rnn_core' in jax.tree_util.keystr(path, simple=True, separator='/')


def to_devices(batch: Any, mesh: Mesh) -> Any:
  """This process's rows of a batch, np.ndarrays, as global sharded arrays."""
  sharding = batch_sharding(mesh)
  return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
      batch,
  )
