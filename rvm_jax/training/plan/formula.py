"""Estimates the memory of a step without compiling it.

What a device keeps follows from shapes alone. It is the sum of

  - the training state and the batch;
  - the values that the forward pass keeps for the backward pass, for each clip,
    which JAX finds by tracing the gradient;
  - the gradients.

The compiler's heap is larger than what is kept. By how much is a factor that
was measured for TPUs, `_TPU_HEAP`.
"""

from typing import Any, NamedTuple

import jax
import ml_collections

from rvm_jax.models import stacks
from rvm_jax.training import boxes
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import program as program_lib
from rvm_jax.training.plan import search
from rvm_jax.training.plan import topologies
from rvm_jax.training.plan import tracing

# Bytes of the compiler's heap for each byte that is kept for the backward pass,
# without and with `scan_layers`. Measured for v6e:2x4 with 8 clips a chip and
# remat 'dots' (libtpu 0.0.42.1): without, 1.38 for RVM-S and 1.36 for RVM-B;
# with, 1.87 for RVM-S and 1.71 for RVM-L. For GPUs it was not measured, and the
# formula uses no such factor.
_TPU_HEAP = {False: 1.37, True: 1.8}
# Bytes that are kept for each byte that JAX would keep with remat 'none'. They
# are fewer because the compiler fuses operations: 0.68 for RVM-S and 0.64 for
# RVM-B, measured as above without `scan_layers`. With `scan_layers` it was not
# measured.
_TPU_FUSED = 0.66


class Memory(NamedTuple):
  """Memory of a device in a step, in bytes.

  Attributes:
    parameters: the device's part of the model's parameters.
    optimizer: the device's part of the rest of the training state.
    batch: the device's rows of the batch.
    temporary: what a step keeps while it computes: activations, gradients,
      copies.
  """

  parameters: int
  optimizer: int
  batch: int
  temporary: int

  @property
  def total(self) -> int:
    """All that a step needs."""
    return sum(self)

  def with_compiled(self, arguments: int, temporary: int) -> 'Memory':
    """Returns this memory with the sizes that a compiler reports.

    Args:
      arguments: bytes of training state and batch, with padding. The padding
        of both is counted as a part of the batch.
      temporary: bytes of everything else.
    """
    batch = arguments - self.parameters - self.optimizer
    return self._replace(batch=batch, temporary=temporary)

  def with_total(self, total: int) -> 'Memory':
    """Returns this memory with another total, by a change of `temporary`."""
    return self._replace(temporary=total - self.total + self.temporary)


class Estimator:
  """Estimates the memory and the least time of a step with some settings."""

  def __init__(
      self, config: ml_collections.ConfigDict, topology: topologies.Topology
  ):
    """Makes an estimator.

    Args:
      config: the run's config. Its fsdp and num_microbatches need not fit the
        devices.
      topology: the devices of the run.
    """
    self._config = config
    self._topology = topology
    objective = objectives.from_config(config)
    # The training state has the same shapes on any number of devices.
    alone = config.copy_and_resolve_references()
    alone.fsdp = 1
    program = program_lib.build(alone, objective, jax.devices()[:1])
    self._state = program.shapes
    self._cast = jax.eval_shape(objective.cast, self._state.params)
    # This attribute of an objective is optional.
    self._uses_ema = getattr(objective, 'uses_ema', False)
    self._batch = boxes.shapes_sent(objective.batch, config.data)
    self._traced: dict[str, tracing.Traced] = {}

  @property
  def num_params(self) -> int:
    """Number of parameters of the model."""
    return sum(x.size for x in jax.tree.leaves(self._state.params))

  def memory(self, settings: search.Settings) -> Memory:
    """Returns the memory that a step with some settings needs on a device."""
    # The device's part of each array of the training state, by shape.
    num_devices = self._topology.num_devices
    mesh = jax.sharding.AbstractMesh(
        (num_devices // settings.fsdp, settings.fsdp), mesh_lib.BATCH_AXES
    )
    shardings = mesh_lib.state_shardings(self._state, mesh)
    parts = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(
            sharding.shard_shape(x.shape), x.dtype
        ),
        self._state,
        shardings,
    )
    parameters = count_bytes(parts.params)
    # What the forward pass keeps for the clips of one microbatch.
    traced = self._trace(settings.remat)
    rows = self._config.data.batch_size // num_devices
    clips = rows // settings.num_microbatches
    kept = clips * traced.clip_bytes
    is_tpu = self._topology.chip.is_tpu
    is_loop = self._config.model.scan_layers
    is_fused = is_tpu and settings.remat == 'none' and not is_loop
    if is_fused:
      kept *= _TPU_FUSED
    # Gradients in the dtype of the matrix products, and their sum in float32.
    gradients = count_bytes(self._cast) + 4 * self.num_params
    temporary = kept + traced.fixed_bytes + gradients
    if is_tpu and not is_fused:
      temporary = max(temporary, kept * _TPU_HEAP[is_loop])
    if self._uses_ema:
      temporary += self._count_copies(parts.ema)
    return Memory(
        parameters,
        count_bytes(parts) - parameters,
        count_bytes(self._batch) // num_devices,
        int(temporary),
    )

  def estimate(self, settings: search.Settings) -> search.Estimate:
    """Returns the memory and the least time of a step with some settings.

    The time serves only to compare settings with each other.
    """
    chip, num_devices = self._topology.chip, self._topology.num_devices
    clips = self._config.data.batch_size // num_devices
    seconds = clips * self._trace(settings.remat).clip_flops / chip.peak
    if settings.num_microbatches > 1:
      # Each part's gradient is added to a sum: two arrays read, one written.
      passes = settings.num_microbatches * 3 * 4 * self.num_params
      seconds += passes / chip.bandwidth
    if settings.fsdp > 1:
      # The parts of the parameters are gathered before they are used.
      seconds += count_bytes(self._cast) / chip.interconnect
    return search.Estimate(self.memory(settings).total, seconds)

  def rank(self) -> list[search.Settings]:
    """Returns the settings that fit into memory, the fastest first."""
    limit = self._topology.chip.memory
    return search.rank(self._list_settings(), self.estimate, limit)

  def smallest(self) -> tuple[search.Settings, search.Estimate]:
    """Returns the settings that need the least memory, and what they need."""
    return search.smallest(self._list_settings(), self.estimate)

  def _count_copies(self, parts: Any) -> int:
    """Returns the bytes of the copies of the EMA that a step computes with.

    An array that is neither split nor cast is used without a copy. Parameters
    that the loss does not use, such as those of V-JEPA's predictor, are counted
    too, though a step does not copy them.

    Args:
      parts: shapes and dtypes of the device's part of the EMA.
    """
    return sum(
        whole.size * whole.dtype.itemsize
        for part, whole in zip(
            jax.tree.leaves(parts), jax.tree.leaves(self._cast), strict=True
        )
        if (part.shape, part.dtype) != (whole.shape, whole.dtype)
    )

  def _list_settings(self) -> list[search.Settings]:
    """Returns all settings that are possible."""
    topology = self._topology
    return search.list_settings(
        ('none', *stacks.REMAT_POLICIES),
        self._config.data.batch_size,
        topology.num_devices,
        topology.num_devices // topology.num_slices,
    )

  def _trace(self, remat: str) -> tracing.Traced:
    """Returns what the gradient needs with a value of `config.model.remat`."""
    if remat not in self._traced:
      config = self._config.copy_and_resolve_references()
      config.model.remat = remat
      objective = objectives.from_config(config)
      self._traced[remat] = tracing.trace(objective, self._topology.chip)
    return self._traced[remat]


def count_bytes(tree: Any) -> int:
  """Returns the size of the arrays of a tree in bytes, without padding."""
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
