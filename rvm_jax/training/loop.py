"""The training loop, with evaluation, logging and checkpoints."""

from collections.abc import Callable, Mapping
import contextlib
import os
from typing import Any

from absl import logging
from clu import parameter_overview
import jax
import ml_collections
import numpy as np

from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import health
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import reporting
from rvm_jax.training import step as step_lib
from rvm_jax.training import stopwatch

# The result of an evaluator: scalars by name, and pictures by name, each a
# uint8 array [H, W, 3].
Report = tuple[Mapping[str, float], Mapping[str, np.ndarray]]
# An evaluator is called with the objective, a `step.VideoObjective`, and the
# objective's parameters.
Evaluator = Callable[[Any, Any], Report]


class Preempted(Exception):
  """The run has received SIGTERM and saved a checkpoint."""


def train(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    objective: step_lib.Objective,
    pipeline: position_lib.TrainingData,
    evaluators: Mapping[str, Evaluator],
) -> step_lib.TrainState:
  """Trains up to `config.num_steps`, resuming from the newest checkpoint.

  Args:
    config: validated config with the keys of configs/rvm_base.py. Of the group
      `data` only `batch_size` and `max_bad_share` are read. The group `model`
      is not read, only compared with that of the checkpoint; the config of a
      readout has a group `protocol` instead.
    workdir: folder for checkpoints, TensorBoard events and pictures.
    objective: objective to train: parameters, loss and logical axes.
    pipeline: stream of batches to train on.
    evaluators: evaluators by name. They are called before the first step of a
      new run, every `config.eval_every` steps, and after the last step.

  Returns:
    The training state after the last step.

  Raises:
    Preempted: the run has received SIGTERM and saved its current state.
    NonFiniteError: the loss, gradient or update of a step is not finite. The
      message names the step, its clips and the newest checkpoint.
    RuntimeError: the share of broken clips is above
      `config.data.max_bad_share`.
    ValueError: the checkpoint in `workdir` is of another objective or model, or
      has more steps than `config.num_steps`.
  """
  mesh = mesh_lib.make_mesh(config.fsdp)
  optimizer, schedule = optimizer_lib.make_optimizer(
      num_steps=config.num_steps,
      is_core=objective.is_core,
      **config.optimizer,
  )
  init, train_step = step_lib.make(
      objective,
      optimizer,
      mesh,
      num_microbatches=config.num_microbatches,
  )
  shapes = jax.eval_shape(init, config.seed)
  logging.info(
      'Parameters:\n%s',
      parameter_overview.get_parameter_overview(
          shapes.params, include_stats=False
      ),
  )

  with contextlib.ExitStack() as closing:
    closing.enter_context(jax.set_mesh(mesh))

    def close_at_end(x):
      return closing.enter_context(contextlib.closing(x))

    checkpoints = close_at_end(
        checkpoints_lib.Checkpoints(workdir, **config.checkpoint)
    )
    position = close_at_end(position_lib.Position(pipeline))
    restored = checkpoints.restore(shapes, config.to_dict())
    if restored is None:
      state = checkpoints.start(shapes, lambda: init(config.seed))
    else:
      state, data = restored
      position.set_state(data)
    start = int(state.step)
    writer = close_at_end(reporting.Writer(workdir, start, config.num_steps))
    if start == 0:
      evaluate(0, objective, state.params, evaluators, writer)

    batch_size = config.data.batch_size
    watch = stopwatch.Stopwatch()
    # Number, metrics and clips of a step that is dispatched but not yet
    # checked.
    pending = None

    def settle():
      """Waits for the pending step, if any, and checks that it is finite."""
      if pending is not None:
        health.check_finite(*pending, pipeline, checkpoints)

    for done in range(start + 1, config.num_steps + 1):
      batch = watch.take(position, batch_size)
      taken = {key: batch[key] for key in objective.batch}
      state, metrics = train_step(state, mesh_lib.to_devices(taken, mesh))
      # Read a step's metrics after the next step is dispatched: the device
      # does not wait for the host.
      settle()
      pending = done, metrics, batch['clip']
      # A checkpoint is written while the step after it is computed. That step
      # counts when the checkpoint is whole.
      checkpoints.wait()

      if done % config.log_every == 0:
        scalars = {key: float(value) for key, value in metrics.items()}
        scalars |= watch.read() | position.counts()
        scalars['learning_rate'] = float(schedule(done - 1))
        writer.progress(done, scalars, batch_size)
        position.check(config.data.max_bad_share)

      is_last = done == config.num_steps
      if done % config.eval_every == 0 or is_last:
        settle()
        evaluate(done, objective, state.params, evaluators, writer)
      # Save before pulling the next batch: the saved position is then that of
      # the first batch that the saved state has not seen. Save after writing
      # what belongs to this step: a start from here does not write it again.
      is_preempted = checkpoints.is_preempted(done)
      if checkpoints.is_due(done) or is_preempted or is_last:
        settle()  # A state that is not finite is never saved.
        checkpoints.save(done, state, position.get_state(), config.to_dict())
      if is_preempted:
        raise Preempted(f'stopped at step {done}, all saved')
    return state


def evaluate(
    step: int,
    objective: step_lib.Objective,
    params: Any,
    evaluators: Mapping[str, Evaluator],
    writer: reporting.Writer,
):
  """Calls the evaluators and writes their scalars and pictures.

  Args:
    step: number of steps done.
    objective: objective that is trained.
    params: current parameters of the objective.
    evaluators: evaluators by name; the name becomes part of their scalars' and
      pictures' names.
    writer: writer of the results.
  """
  for name, evaluator in evaluators.items():
    scalars, pictures = evaluator(objective, params)
    writer.scalars(
        step, {f'eval/{name}/{key}': value for key, value in scalars.items()}
    )
    writer.pictures(
        step, {f'{name}_{key}': picture for key, picture in pictures.items()}
    )
