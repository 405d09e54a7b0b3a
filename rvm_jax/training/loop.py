"""The training loop, with evaluation, logging and checkpoints."""

from collections.abc import Callable, Mapping
import contextlib
import functools
import os
from typing import Any

import jax
import ml_collections
import numpy as np

from rvm_jax.runtime import stops
from rvm_jax.runtime import watchdog as watchdog_lib
from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import health
from rvm_jax.training import ledger as ledger_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import profiles
from rvm_jax.training import program as program_lib
from rvm_jax.training import protocols
from rvm_jax.training import reporting
from rvm_jax.training import spikes
from rvm_jax.training import step as step_lib

# The result of an evaluator: scalars by name, and pictures by name, each a
# uint8 array [H, W, 3].
Report = tuple[Mapping[str, float], Mapping[str, np.ndarray]]
# An evaluator is called with the objective, a `protocols.VideoObjective`, and
# the objective's parameters.
Evaluator = Callable[[Any, Any], Report]


class Preempted(stops.Stopped):
  """The run was told to stop, and everything is saved."""


def train(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    objective: protocols.Objective,
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
      is only compared with that of the checkpoint that the run resumes from or
      takes its parameters from. The config of a readout has a group `protocol`
      instead.
    workdir: folder of the run, which all its files are written to:
      checkpoints, TensorBoard events, pictures, the ledger and the log of
      spikes. The checkpoints may be in a bucket instead.
    objective: objective to train.
    pipeline: stream of batches to train on.
    evaluators: evaluators by name. They are called before the first step of a
      new run, every `config.eval_every` steps, and after the last step.
    stop: tells whether the run is to stop.
    watchdog: watchdog, which is told of each step that is done, and of each
      evaluation and checkpoint, since these may take longer than a step.
    profiler: writes profiles of the steps that somebody asks for.

  Returns:
    The training state after the last step.

  Raises:
    Preempted: the run was told to stop and has saved its current state.
    NonFiniteError: the loss, gradient or update of a step is not finite. The
      message names the step, its clips and the newest checkpoint.
    SpikeError: the loss or the gradient norm of a step is a spike, and
      `config.spikes.policy` is 'stop'.
    SaveError: the last checkpoint could not be saved. It is a
      StopNotSavedError if the run was told to stop.
    RuntimeError: the share of broken clips is above
      `config.data.max_bad_share`.
    ValueError: the checkpoint in `workdir` is of another objective or model, or
      has more steps than `config.num_steps`.
  """
  program = program_lib.build(config, objective)
  with contextlib.ExitStack() as closing:
    closing.enter_context(jax.set_mesh(program.mesh))

    def close_at_end(x):
      return closing.enter_context(contextlib.closing(x))

    ledger = closing.enter_context(ledger_lib.Ledger(workdir, watchdog))
    checkpoints = close_at_end(
        checkpoints_lib.Checkpoints(workdir, **config.checkpoint)
    )
    position = close_at_end(position_lib.Position(pipeline))
    # This context is entered last and so left first: the watchdog tells the
    # other processes of an error before anything above waits for them.
    closing.enter_context(watchdog.telling())
    state, is_evaluation_due = start_or_resume(
        config, checkpoints, position, program
    )
    start = int(state.step)
    ledger.start(
        start,
        num_steps=config.num_steps,
        batch_size=config.data.batch_size,
        # The attribute is optional, see `protocols.Objective`.
        flops_per_clip=getattr(objective, 'flops_per_clip', None),
    )
    writer = reporting.Writer(workdir, start, config.num_steps)

    evaluate_now = functools.partial(
        evaluate, objective, evaluators, writer, ledger, stop
    )
    is_stopped = is_evaluation_due and not evaluate_now(
        start, state.eval_params
    )
    if is_stopped or stop.ask().result():
      raise Preempted(f'stopped at step {start}, there was nothing to save')

    monitor = health.Monitor(
        pipeline, checkpoints, watchdog, program.guard, workdir
    )
    # Whether the run is to stop is asked once a step. The answer is read after
    # the next step is dispatched, as the metrics are.
    answer = stop.ask()
    # The newest step whose checkpoint was begun.
    saving = None
    for done in range(start + 1, config.num_steps + 1):
      with profiler.step(done, state):
        batch = ledger.watch.take(position, config.data.batch_size)
        state, metrics = program.dispatch(state, batch)
      # This checks the step before: its metrics are read after the next step is
      # dispatched, so that the device does not wait for the host.
      monitor.add(done, metrics, batch['clip'])
      ledger.compiled(metrics)
      # The checkpoint of the step before is written while this step is
      # computed. No further step begins until it is whole, so that a kill costs
      # at most `save_every` steps and this one.
      if saving == done - 1:
        with ledger.timed('saved', after=metrics):
          checkpoints.wait()

      if done % config.log_every == 0:
        report(done, metrics, config, program, ledger, position, writer)
        position.check(config.data.max_bad_share)

      is_last = done == config.num_steps
      is_stopped = answer.result()
      answer = stop.ask()
      is_evaluation_due = done % config.eval_every == 0 or is_last
      if is_evaluation_due and not is_stopped:
        monitor.settle()
        # An evaluation that a stop interrupts stays due: the checkpoint says
        # so, and the next start makes up for it.
        is_evaluation_due = not evaluate_now(done, state.eval_params)
        is_stopped = is_evaluation_due
      # Save before pulling the next batch: the saved position is then that of
      # the first batch that the saved state has not seen. Save after writing
      # the results of this step: a run that resumes from this checkpoint does
      # not write them again.
      if checkpoints.is_due(done) or is_stopped or is_last:
        monitor.settle()  # A state that is not finite is never saved.
        ledger.steps()
        data = position.get_state() | {'is_evaluation_due': is_evaluation_due}
        with ledger.timed('save'):
          checkpoints.save(done, state, data, config.to_dict())
          if is_stopped or is_last:
            checkpoints.finish(is_last=is_last)
        saving = done
      # A stop at the last step changes nothing once that step is evaluated.
      if is_stopped and not (is_last and not is_evaluation_due):
        raise Preempted(f'stopped at step {done}, all saved')
    return state


def start_or_resume(
    config: ml_collections.ConfigDict,
    checkpoints: checkpoints_lib.Checkpoints,
    position: position_lib.Position,
    program: program_lib.Program,
) -> tuple[step_lib.TrainState, bool]:
  """Returns the state that this start of the run begins with.

  Args:
    config: config of the run.
    checkpoints: checkpoints of the run.
    position: position in the data, which is moved to that of the checkpoint.
    program: what the run computes.

  Returns:
    The state, and whether it has yet to be evaluated. This is so for a new run,
    and if a stop has prevented or interrupted the evaluation of this state.
  """
  restored = checkpoints.restore(program.shapes, config.to_dict())
  if restored is None:
    init = functools.partial(program.init, config.seed)
    return checkpoints.start(program.shapes, init, config.to_dict()), True
  state, data = restored
  position.set_state(data)
  # Checkpoints of earlier versions lack this key. They were saved after the
  # evaluation of their step, if there was one.
  return state, data.get('is_evaluation_due', False)


def report(
    step: int,
    metrics: step_lib.Metrics,
    config: ml_collections.ConfigDict,
    program: program_lib.Program,
    ledger: ledger_lib.Ledger,
    position: position_lib.Position,
    writer: reporting.Writer,
):
  """Writes the progress line and the scalars of a step.

  Args:
    step: number of steps done.
    metrics: metrics of the step; reading them waits for it to be done.
    config: config of the run.
    program: what the run computes.
    ledger: ledger of the run, which says how fast it is.
    position: position in the data, which says how many clips were seen.
    writer: writer of the results.
  """
  scalars = {key: float(value) for key, value in metrics.items()}
  updates = spikes.count_updates(step - 1, scalars)
  scalars['learning_rate'] = float(program.schedule(updates))
  scalars |= ledger.steps() | position.counts()
  with ledger.watch.apart():
    writer.progress(step, scalars, config.data.batch_size)


def evaluate(
    objective: protocols.Objective,
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
    params: parameters of the objective to evaluate, see
      `step.TrainState.eval_params`.

  Returns:
    True if all evaluators are done, False if the run is to stop before they
    are.
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
