"""The mesh of devices, and how arrays are split over it.

The axes of arrays have names, called logical axes: models name the axes of
their parameters and activations ('embed', 'mlp', 'heads'), and the first axis
of a batch is 'batch'. The table `LOGICAL_RULES` says over which axes of the
mesh each logical axis is split.
"""

from collections.abc import Sequence
import math
from typing import Any

import flax.linen as nn
import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

# The axes of the mesh that `make_mesh` makes. A batch is split over both.
BATCH_AXES = ('data', 'fsdp')

# Pairs of a logical axis and the axes of the mesh it is split over. A logical
# axis without a rule is not split. A mesh axis can split only one axis of an
# array; earlier rules go first. So 'fsdp' splits the 'batch' axis of
# activations and not their 'embed' axis, but it splits the 'embed' axis of
# parameters. To split heads and hidden units over a mesh axis 'tensor', add
# ('heads', ('tensor',)) and ('mlp', ('tensor',)).
LOGICAL_RULES = (
    ('batch', BATCH_AXES),
    ('embed', ('fsdp',)),
    ('decoder_embed', ('fsdp',)),
)

# Arrays of the state with fewer elements are copied to every device: gathering
# their parts in every step would cost more than the saved memory is worth.
MIN_SHARDED_SIZE = 2**10


def make_mesh(fsdp: int) -> Mesh:
  """Returns all devices as a mesh with the axes 'data' and 'fsdp'.

  Args:
    fsdp: number of devices that parameters are split over.

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
  """Returns the sharding of a batch: the first axis of its arrays is split."""
  return NamedSharding(mesh, _to_mesh_axes(('batch',)))


def num_batch_shards(mesh: Mesh) -> int:
  """Returns the number of parts that the mesh splits a batch into."""
  return _count_parts(mesh, *batch_sharding(mesh).spec)


def state_shardings(state: Any, mesh: Mesh) -> Any:
  """Returns a sharding for each leaf of a training state.

  A parameter is split by `LOGICAL_RULES`, applied to the logical axes that
  `state.axes` gives for it. The optimizer's moments of a parameter are split
  like the parameter. An axis stays whole if its size is not a multiple of the
  number of parts. A leaf stays whole if it has fewer than `MIN_SHARDED_SIZE`
  elements or no named axes.

  Args:
    state: a `step.TrainState` of arrays or `jax.ShapeDtypeStruct`s.
    mesh: the mesh, as returned by `make_mesh`.

  Returns:
    A tree with the structure of `state` and a `NamedSharding` for each leaf.
  """
  axes = dict(state.axes)

  def leaf_sharding(path, leaf):
    # The path of a parameter or moment ends with the parameter's own path.
    parts = jax.tree_util.keystr(path, simple=True, separator='/').split('/')
    ends = ('/'.join(parts[i:]) for i in range(len(parts)))
    names = next((axes[end] for end in ends if end in axes), ())
    if len(names) != leaf.ndim or leaf.size < MIN_SHARDED_SIZE:
      names = (None,) * leaf.ndim
    splits = _to_mesh_axes(names)
    spec = [
        split if size % _count_parts(mesh, split) == 0 else None
        for size, split in zip(leaf.shape, splits, strict=True)
    ]
    return NamedSharding(mesh, PartitionSpec(*spec))

  return jax.tree_util.tree_map_with_path(leaf_sharding, state)


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


def _to_mesh_axes(names: Sequence[str | None]) -> PartitionSpec:
  """Returns the axes of the mesh that logical axes are split over."""
  return nn.logical_to_mesh_axes(names, LOGICAL_RULES) or PartitionSpec()


def _count_parts(mesh: Mesh, split: str | tuple[str, ...] | None) -> int:
  """Returns the number of parts that an entry of a `PartitionSpec` makes."""
  axes = (split,) if isinstance(split, str) else split or ()
  return math.prod(mesh.shape[axis] for axis in axes)
