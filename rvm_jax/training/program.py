"""The program of a run: how its state begins, and how a step changes it."""

from collections.abc import Callable, Mapping, Sequence
import math
from typing import NamedTuple

from absl import logging
from clu import parameter_overview
import jax
import ml_collections
import numpy as np

from rvm_jax.training import boxes
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import protocols
from rvm_jax.training import spikes
from rvm_jax.training import step as step_lib


class Program(NamedTuple):
  """What a run computes on its devices.

  Attributes:
    init: function that returns the state of a new run from a seed.
    step: function that does one step, as `step.make` describes it.
    schedule: function that returns the learning rate after a number of updates.
    guard: guard that finds spikes; None if `config.spikes.policy` is 'none'.
    shapes: the state as `jax.ShapeDtypeStruct`s with shardings.
    objective: objective that is trained.
    mesh: the mesh that the devices form.
  """

  init: Callable[[int], step_lib.TrainState]
  step: Callable[..., tuple[step_lib.TrainState, step_lib.Metrics]]
  schedule: Callable[[int], float]
  guard: spikes.Guard | None
  shapes: step_lib.TrainState
  objective: protocols.Objective
  mesh: jax.sharding.Mesh

  def dispatch(
      self, state: step_lib.TrainState, batch: Mapping[str, np.ndarray]
  ) -> tuple[step_lib.TrainState, step_lib.Metrics]:
    """Starts a step on the devices, without waiting for it.

    Args:
      state: training state before the step; its buffers are donated.
      batch: this process's rows of the batch.

    Returns:
      The training state after the step, and the metrics of the step.
    """
    taken = boxes.select(batch, self.objective.batch)
    return self.step(state, mesh_lib.to_devices(taken, self.mesh))


def build(
    config: ml_collections.ConfigDict,
    objective: protocols.Objective,
    devices: Sequence[jax.Device] | None = None,
) -> Program:
  """Builds the mesh, the optimizer and the step; logs the parameters.

  Args:
    config: config of the run.
    objective: objective to train.
    devices: devices to compute on; None for all devices of all processes.

  Raises:
    ValueError: `config.fsdp` does not fit the devices, see `mesh.make_mesh`.
  """
  mesh = mesh_lib.make_mesh(config.fsdp, devices)
  optimizer, schedule = optimizer_lib.make_optimizer(
      num_steps=config.num_steps,
      is_core=objective.is_core,
      **config.optimizer,
  )
  guard = spikes.from_config(config)
  init, step = step_lib.make(
      objective,
      optimizer,
      mesh,
      num_microbatches=config.num_microbatches,
      gradient_dtype=config.gradient_dtype,
      ema_decay=config.ema_decay,
      guard=guard,
  )
  shapes = jax.eval_shape(init, config.seed)
  num_params = sum(math.prod(x.shape) for x in jax.tree.leaves(shapes.params))
  logging.info(
      '%.1f million parameters (--verbosity=1 lists them)', num_params / 1e6
  )
  overview = parameter_overview.get_parameter_overview(
      shapes.params, include_stats=False
  )
  logging.debug('Parameters:\n%s', overview)
  return Program(init, step, schedule, guard, shapes, objective, mesh)
