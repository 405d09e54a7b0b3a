"""The training loop, with evaluation, logging and checkpoints."""

from collections.abc import Callable, Mapping
import contextlib
import functools
import os
from typing import Any, NamedTuple

from absl import logging
from clu import parameter_overview
import jax
import ml_collections
import numpy as np

from rvm_jax.runtime import stops
from rvm_jax.runtime import watchdog as watchdog_lib
from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import health
from rvm_jax.training import ledger as ledger_lib
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import profiles
from rvm_jax.training import reporting
from rvm_jax.training import spikes
from rvm_jax.training import step as step_lib

# The result of an evaluator: scalars by name, and pictures by name, each a
# uint8 array [H, W, 3].
Report = tuple[Mapping[str, float], Mapping[str, np.ndarray]]
# An evaluator is called with the objective, a `step.VideoObjective`, and the
# objective's parameters.
Evaluator = Callable[[Any, Any], Report]


class Preempted(stops.Stopped):
  """The run was told to stop, and everything is saved."""


def train(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    objective: step_lib.Objective,
    pipeline: position_lib.TrainingData,
    evaluators: Mapping[str, Evaluator],
    *,
    stop: stops.Stop | stops.Never = stops.NEVER,
    watchdog: watchdog_lib.Watchdog | watchdog_lib.Off = watchdog_lib.OFF,
    profiler: profiles.Profiler | profiles.Off = profiles.OFF,
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
    stop: tells whether the run is to stop.
    watchdog: is told of each step that is done, and of what takes longer.
    profiler: writes profiles of the steps that somebody asks for.

  Returns:
    The training state after the last step.

  Raises:
    Preempted: the run was told to stop and has saved its current state.
    NonFiniteError: the loss, gradient or update of a step is not finite. The
      message names the step, its clips and the newest checkpoint.
    SpikeError: the loss or the gradient norm of a step is a spike, and
      `config.spikes.policy` is 'stop'.
    RuntimeError: the share of broken clips is above
      `config.data.max_bad_share`.
    ValueError: the checkpoint in `workdir` is of another objective or model, or
      has more steps than `config.num_steps`.
  """
  mesh = mesh_lib.make_mesh(config.fsdp)
  built = build(config, objective, mesh)
  with contextlib.ExitStack() as closing:
    closing.enter_context(jax.set_mesh(mesh))

    def close_at_end(x):
      return closing.enter_context(contextlib.closing(x))

    ledger = closing.enter_context(ledger_lib.Ledger(workdir, watchdog))
    checkpoints = close_at_end(
        checkpoints_lib.Checkpoints(workdir, **config.checkpoint)
    )
    position = close_at_end(position_lib.Position(pipeline))
    state, is_evaluation_due = start_or_resume(
        config, checkpoints, position, built
    )
    start = int(state.step)
    ledger.start(
        start,
        num_steps=config.num_steps,
        batch_size=config.data.batch_size,
        # An objective need not know them.
        flops_per_clip=getattr(objective, 'flops_per_clip', None),
    )
    writer = reporting.Writer(workdir, start, config.num_steps)

    evaluate_now = functools.partial(
        evaluate, objective, evaluators, writer, ledger, stop
    )
    if is_evaluation_due and not evaluate_now(start, state.params):
      raise Preempted(f'stopped at step {start}, there was nothing to save')

    monitor = health.Monitor(
        pipeline, checkpoints, watchdog, built.guard, workdir
    )
    # Whether the run is to stop is asked once a step. The answer is read after
    # the next step is dispatched, as the metrics are.
    answer = stop.ask()
    # The newest step of which a checkpoint has been started.
    saving = None
    for done in range(start + 1, config.num_steps + 1):
      with profiler.step(done, state):
        batch = ledger.watch.take(position, config.data.batch_size)
        state, metrics = built.step(
            state,
            mesh_lib.to_devices(
                {key: batch[key] for key in objective.batch}, mesh
            ),
        )
      # This checks the step before: its metrics are read after the next step is
      # dispatched, so that the device does not wait for the host.
      monitor.add(done, metrics, batch['clip'])
      ledger.compiled(metrics)
      # A checkpoint is written while the step after it is computed. That step
      # counts when the checkpoint is whole.
      if saving == done - 1:
        with ledger.timed('saved', after=metrics):
          checkpoints.wait()

      if done % config.log_every == 0:
        scalars = {key: float(value) for key, value in metrics.items()}
        report(done, scalars, config, built, ledger, position, writer)
        position.check(config.data.max_bad_share)

      is_last = done == config.num_steps
      is_stopped = answer.result()
      answer = stop.ask()
      is_evaluation_due = done % config.eval_every == 0 or is_last
      if is_evaluation_due and not is_stopped:
        monitor.settle()
        is_evaluation_due = not evaluate_now(done, state.params)
        is_stopped = is_evaluation_due
      # Save before pulling the next batch: the saved position is then that of
      # the first batch that the saved state has not seen. Save after writing
      # what belongs to this step: a start from here does not write it again.
      if checkpoints.is_due(done) or is_stopped or is_last:
        monitor.settle()  # A state that is not finite is never saved.
        ledger.steps()
        data = position.get_state() | {'is_evaluation_due': is_evaluation_due}
        with ledger.timed('save'):
          checkpoints.save(done, state, data, config.to_dict())
          if is_stopped or is_last:
            checkpoints.wait()
        saving = done
      if is_stopped and not (is_last and not is_evaluation_due):
        raise Preempted(f'stopped at step {done}, all saved')
    return state


class Built(NamedTuple):
  """What `build` makes of a config.

  Attributes:
    init: function that returns the state of a new run from a seed.
    step: function that does one step, as `step.make` describes it.
    schedule: function that returns the learning rate after a number of updates.
    guard: what finds spikes; None if the policy is to let them pass.
    shapes: the state as `jax.ShapeDtypeStruct`s with shardings.
  """

  init: Callable[[int], step_lib.TrainState]
  step: Callable[..., tuple[step_lib.TrainState, step_lib.Metrics]]
  schedule: Callable[[int], float]
  guard: spikes.Guard | None
  shapes: step_lib.TrainState


def build(
    config: ml_collections.ConfigDict,
    objective: step_lib.Objective,
    mesh: jax.sharding.Mesh,
) -> Built:
  """Builds the optimizer and the step of a run, and logs its parameters.

  Args:
    config: config of the run.
    objective: objective to train.
    mesh: the mesh, as returned by `mesh.make_mesh`.
  """
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
      guard=guard,
  )
  shapes = jax.eval_shape(init, config.seed)
  overview = parameter_overview.get_parameter_overview(
      shapes.params, include_stats=False
  )
  logging.info('Parameters:\n%s', overview)
  return Built(init, step, schedule, guard, shapes)


def start_or_resume(
    config: ml_collections.ConfigDict,
    checkpoints: checkpoints_lib.Checkpoints,
    position: position_lib.Position,
    built: Built,
) -> tuple[step_lib.TrainState, bool]:
  """Returns the state that this start of the run begins with.

  Args:
    config: config of the run.
    checkpoints: checkpoints of the run.
    position: position in the data, which is moved to that of the checkpoint.
    built: what `build` has made of the config.

  Returns:
    The state, and whether it has yet to be evaluated: that of a new run, or one
    whose evaluation was interrupted.
  """
  restored = checkpoints.restore(built.shapes, config.to_dict())
  if restored is None:
    init = functools.partial(built.init, config.seed)
    return checkpoints.start(built.shapes, init), True
  state, data = restored
  position.set_state(data)
  # Older checkpoints do not say it: they were saved after an evaluation.
  return state, data.get('is_evaluation_due', False)


def report(
    step: int,
    scalars: Mapping[str, float],
    config: ml_collections.ConfigDict,
    built: Built,
    ledger: ledger_lib.Ledger,
    position: position_lib.Position,
    writer: reporting.Writer,
):
  """Writes the progress line and the scalars of a step that is done.

  Args:
    step: number of steps done.
    scalars: metrics of the step.
    config: config of the run.
    built: what `build` has made of the config.
    ledger: ledger of the run, which says how fast it is.
    position: position in the data, which says how many clips were seen.
    writer: writer of the results.
  """
  updates = spikes.count_updates(step - 1, scalars)
  scalars = {
      **scalars,
      **ledger.steps(),
      **position.counts(),
      'learning_rate': float(built.schedule(updates)),
  }
  with ledger.watch.apart():
    writer.progress(step, scalars, config.data.batch_size)


def evaluate(
    objective: step_lib.Objective,
    evaluators: Mapping[str, Evaluator],
    writer: reporting.Writer,
    ledger: ledger_lib.Ledger,
    stop: stops.Stop | stops.Never,
    step: int,
    params: Any,
) -> bool:
  """Calls the evaluators and writes their scalars and pictures.

  Args:
    objective: objective that is trained.
    evaluators: evaluators by name; the name becomes part of their scalars' and
      pictures' names.
    writer: writer of the results.
    ledger: ledger of the run, which times each evaluator.
    stop: tells whether the run is to stop, which ends the evaluation.
    step: number of steps done.
    params: current parameters of the objective.

  Returns:
    True if all evaluators are done, False if the run is to stop before.
  """
  for name, evaluator in evaluators.items():
    try:
      with ledger.timed('evaluation', name=name):
        stop.check()
        scalars, pictures = evaluator(objective, params)
    except stops.Stopped:
      return False
    writer.scalars(step, {f'eval/{name}/{k}': x for k, x in scalars.items()})
    writer.pictures(step, {f'{name}_{k}': x for k, x in pictures.items()})
  return True
