"""The mesh of devices, and how arrays are split over it.

All devices form a grid with the axes 'data' and 'fsdp'. A batch is split over
both: each device has rows of its own. The training state is split over 'fsdp'
alone (fully sharded data parallelism), and whole along 'data': see
`state_shardings`.

What a step or an evaluation computes for the rows of one device is an ordinary
function, which `jax.shard_map` runs on each device (`map_rows`, and
`training.gradients`). Such a function sees only the rows of its device. So the
compiler has no shardings to choose, and the program has no other collectives
than those in the code.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.experimental import mesh_utils
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
import numpy as np

# The axes of the mesh. A batch is split over both.
BATCH_AXES = ('data', 'fsdp')
# How a batch is split: its first axis, over all devices.
ROWS = PartitionSpec(BATCH_AXES)
# The spec of an array that is not split: each device has a copy.
WHOLE = PartitionSpec()

# Arrays of the state with fewer elements are copied to every device: gathering
# their parts in every step would cost more than the saved memory is worth.
MIN_SHARDED_SIZE = 2**10


def make_mesh(fsdp: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
  """Returns devices as a mesh with the axes 'data' and 'fsdp'.

  Args:
    fsdp: number of devices that the training state is split over.
    devices: the devices; None for all devices of all processes.

  Raises:
    ValueError: `fsdp` does not divide the number of devices, or the number of
      devices in a slice of TPUs.
  """
  count = jax.device_count() if devices is None else len(devices)
  if fsdp < 1 or count % fsdp:
    raise ValueError(
        f'config.fsdp={fsdp} must divide the {count} devices of this run'
    )
  devices = jax.devices() if devices is None else devices
  # Slices of TPUs are joined by a slow network, so the state is split inside of
  # a slice. `jax.make_mesh` is not used, because it refuses several slices, and
  # an fsdp that is only a part of an axis of the slice, such as 8 for a slice
  # of 16 x 16 devices.
  num_slices = len(
      {
          getattr(device, 'slice_index', 0) if device.platform == 'tpu' else 0
          for device in devices
      }
  )
  if count // num_slices % fsdp:
    raise ValueError(
        f'config.fsdp={fsdp} must divide the {count // num_slices} devices of'
        ' a slice'
    )
  shape = (count // num_slices // fsdp, fsdp)
  if num_slices == 1:
    grid = mesh_utils.create_device_mesh(
        shape, devices, allow_split_physical_axes=True
    )
  else:
    grid = mesh_utils.create_hybrid_device_mesh(
        shape, (num_slices, 1), devices, allow_split_physical_axes=True
    )
  types = (jax.sharding.AxisType.Auto,) * 2
  return Mesh(grid, BATCH_AXES, axis_types=types)


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of a batch: the first axis of its arrays is split."""
  return NamedSharding(mesh, ROWS)


def num_batch_shards(mesh: Mesh) -> int:
  """Returns the number of parts that the mesh splits a batch into."""
  return mesh.shape['data'] * mesh.shape['fsdp']


def state_shardings(state: Any, mesh: Mesh | AbstractMesh) -> Any:
  """Returns a sharding for each leaf of a training state.

  A leaf is split over 'fsdp' along the first of its axes whose size is a
  multiple of the number of parts. So a parameter and the optimizer's moments of
  it, which have its shape, are split alike. A leaf stays whole if it has no
  such axis or fewer than `MIN_SHARDED_SIZE` elements.

  Args:
    state: a tree of arrays or `jax.ShapeDtypeStruct`s.
    mesh: the mesh, as returned by `make_mesh`.

  Returns:
    A tree with the structure of `state` and a `NamedSharding` for each leaf.
  """
  num_parts = mesh.shape['fsdp']

  def choose(leaf):
    if num_parts > 1 and leaf.size >= MIN_SHARDED_SIZE:
      for axis, size in enumerate(leaf.shape):
        if size % num_parts == 0:
          return NamedSharding(mesh, PartitionSpec(*(None,) * axis, 'fsdp'))
    return NamedSharding(mesh, WHOLE)

  return jax.tree.map(choose, state)


def to_devices(batch: Any, mesh: Mesh) -> Any:
  """Returns a batch as global arrays, split over the devices of all processes.

  Args:
    batch: a tree of np.ndarrays, this process's rows of the batch.
    mesh: the mesh, as returned by `make_mesh`.
  """
  sharding = batch_sharding(mesh)
  return jax.tree.map(
      lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)),
      batch,
  )


def map_rows(function: Callable[..., Any]) -> Callable[..., Any]:
  """Makes each device compute a function for rows of its own.

  The mesh is the one that `jax.set_mesh` has set; without one there is only one
  device. If the rows cannot be divided, every device computes all of them.

  Args:
    function: function of a tree of parameters and of trees of arrays whose
      first axis is the batch axis. It returns a tree of arrays whose first axis
      is the batch axis too.

  Returns:
    A function with the arguments of `function`, for calls inside `jax.jit`.
  """

  def mapped(params, *rows):
    count = len(jax.tree.leaves(rows)[0])
    size = max(jax.sharding.get_abstract_mesh().size, 1)
    split = WHOLE if count % size else ROWS
    return _map(function, (WHOLE, *(split,) * len(rows)), split)(params, *rows)

  return mapped


def repeat(function: Callable[..., Any]) -> Callable[..., Any]:
  """Makes every device compute a function for the same whole arrays.

  The mesh is the one that `jax.set_mesh` has set; without one there is only one
  device.

  Args:
    function: function of trees of arrays, which returns a tree of arrays.

  Returns:
    A function with the arguments of `function`, for calls inside `jax.jit`.
  """
  return _map(function, WHOLE, WHOLE)


def _map(function, in_specs, out_specs):
  """Returns `function` for each device of the mesh, if one is set."""
  if jax.sharding.get_abstract_mesh().empty:
    return function
  return jax.shard_map(
      function, in_specs=in_specs, out_specs=out_specs, check_vma=False
  )
