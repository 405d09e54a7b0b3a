"""The training loop: mesh, state, restore, data, then step after step."""

from collections.abc import Callable, Mapping
import contextlib
import math
import os
from typing import Any, Protocol

from absl import logging
from clu import parameter_overview
import jax
from jax.experimental import multihost_utils
import ml_collections
import numpy as np

from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import reporting
from rvm_jax.training import step as step_lib
from rvm_jax.training import stopwatch

# What an evaluator gives: scalars by name, pictures (uint8 [H, W, 3]) by name.
Report = tuple[Mapping[str, float], Mapping[str, np.ndarray]]
# It takes the objective, a `step.VideoObjective`, and its parameters.
Evaluator = Callable[[Any, Any], Report]

# Clips that are skipped count against at least this many clips, so that one
# bad clip at the start does not end a run.
MIN_CLIPS_SEEN = 100


class Preempted(Exception):
  """The run was told to stop; everything is saved."""


class NonFiniteError(RuntimeError):
  """The loss or its gradient is not finite."""


class TrainingData(Protocol):
  """An endless stream of batches, as `data.pipeline` has it.

  Batches hold what the objective takes, and for each row
    clip: what it is, as `describe` takes it.
    skipped: int32 [B], what could not be read before it could.
  """

  def iterator(self) -> Any:
    """At the beginning; with `get_state`, `set_state` and `close`."""

  def describe(self, clip: np.ndarray) -> str:
    """Says where a clip comes from."""


def train(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    objective: step_lib.Objective,
    pipeline: TrainingData,
    evaluators: Mapping[str, Evaluator],
) -> step_lib.TrainState:
  """Trains until `config.num_steps`, from the newest checkpoint of `workdir`.

  Args:
    config: as in configs/rvm_base.py, validated; for a readout, with
      `protocol` in place of `model`. These decide whether a checkpoint fits; of
      them and of `data` nothing is read here but `data.batch_size` and
      `data.max_bad_share`.
    workdir: for checkpoints, events and pictures.
    objective: what is trained.
    pipeline: what it is trained on.
    evaluators: called with `objective` and its parameters before the first
      step, every `config.eval_every` steps, and after the last.

  Returns:
    The last state.

  Raises:
    Preempted: SIGTERM came; the state of the moment is saved.
    NonFiniteError: names the step, its clips and the last good checkpoint.
    RuntimeError: more clips are broken than `config.data.max_bad_share`.
    ValueError: the workdir is of something else or has more steps already.
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
    open_ = lambda x: closing.enter_context(contextlib.closing(x))
    checkpoints = open_(
        checkpoints_lib.Checkpoints(workdir, **config.checkpoint)
    )
    position = open_(Position(pipeline))
    restored = checkpoints.restore(shapes, config.to_dict())
    if restored is None:
      state = checkpoints.start(shapes, lambda: init(config.seed))
    else:
      state, data = restored
      position.set_state(data)
    start = int(state.step)
    writer = open_(reporting.Writer(workdir, start, config.num_steps))
    if start == 0:
      evaluate(0, objective, state.params, evaluators, writer)

    batch_size = config.data.batch_size
    watch = stopwatch.Stopwatch()
    pending = None  # What the last step gave, not yet read.

    def settle():
      """Waits for the last step and refuses what is not finite."""
      if pending is not None:
        check_finite(*pending, pipeline, checkpoints)

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
        settle()  # Nothing bad is saved.
        checkpoints.save(done, state, position.get_state(), config.to_dict())
      if is_preempted:
        raise Preempted(f'stopped at step {done}, all saved')
    return state


class Position:
  """The stream of batches, with counts of clips seen and skipped so far."""

  def __init__(self, pipeline: TrainingData):
    self._iterator = pipeline.iterator()
    self._before = np.zeros(2, int)  # Of the whole run, before this start.
    self._here = np.zeros(2, int)  # Of this process, since.

  def __next__(self) -> dict[str, np.ndarray]:
    batch = next(self._iterator)
    self._here += len(batch['skipped']), batch['skipped'].sum()
    return batch

  def counts(self) -> dict[str, int]:
    """Of all processes together, which have to call this together."""
    everywhere = multihost_utils.process_allgather(self._here)
    total = self._before + everywhere.reshape(-1, 2).sum(0)
    return {'clips_seen': int(total[0]), 'clips_skipped': int(total[1])}

  def check(self, max_bad_share: float):
    """Raises RuntimeError where too many clips were broken."""
    seen, skipped = self.counts().values()
    if skipped > max_bad_share * max(seen, MIN_CLIPS_SEEN):
      raise RuntimeError(
          f'{skipped} of {seen} clips could not be read, more than'
          f' max_bad_share={max_bad_share}; the log names the files'
      )

  def get_state(self) -> dict[str, Any]:
    return {'iterator': self._iterator.get_state()} | self.counts()

  def set_state(self, state: Mapping[str, Any]):
    self._iterator.set_state(state['iterator'])
    self._before = np.array([state['clips_seen'], state['clips_skipped']])
    self._here = np.zeros(2, int)

  def close(self):
    self._iterator.close()


def evaluate(
    step: int,
    objective: step_lib.Objective,
    params: Any,
    evaluators: Mapping[str, Evaluator],
    writer: reporting.Writer,
):
  for name, evaluator in evaluators.items():
    scalars, pictures = evaluator(objective, params)
    writer.scalars(step, {f'eval/{name}/{k}': x for k, x in scalars.items()})
    writer.pictures(step, {f'{name}_{k}': x for k, x in pictures.items()})


def check_finite(
    step: int,
    metrics: Mapping[str, jax.Array],
    clips: np.ndarray,
    pipeline: TrainingData,
    checkpoints: checkpoints_lib.Checkpoints,
):
  """Raises `NonFiniteError` where the loss or its gradient is not finite."""
  bad = {
      key: float(metrics[key])
      for key in ('loss', 'gradient_norm', 'update_norm')
      if not math.isfinite(metrics[key])
  }
  if bad:
    named = '\n  '.join(pipeline.describe(clip) for clip in clips)
    raise NonFiniteError(
        f'step {step}: {bad}. Last good checkpoint:'
        f' {checkpoints.last_saved()}. The batch:\n  {named}'
    )
