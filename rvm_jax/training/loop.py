"""The training loop, with evaluation, logging and checkpoints."""

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

# The result of an evaluator: scalars by name, and pictures by name, each a
# uint8 array [H, W, 3].
Report = tuple[Mapping[str, float], Mapping[str, np.ndarray]]
# An evaluator is called with the objective, a `step.VideoObjective`, and the
# objective's parameters.
Evaluator = Callable[[Any, Any], Report]

# The share of skipped clips is taken of at least this many clips, so that a
# single broken clip at the start does not end a run.
MIN_CLIPS_SEEN = 100


class Preempted(Exception):
  """The run has received SIGTERM and saved a checkpoint."""


class NonFiniteError(RuntimeError):
  """The loss, the gradient or the update of a step is not finite."""


class TrainingData(Protocol):
  """An endless stream of batches, such as `data.pipeline.Pipeline`.

  A batch is a dict of this process's rows of the arrays that `Objective.batch`
  names, and of two more arrays:
    clip: an identifier of each row's clip, [B, ...], for `describe`.
    skipped: number of broken clips that each row replaces, int32 [B].
  """

  def iterator(self) -> Any:
    """Returns an iterator over batches, at the beginning of the stream.

    The iterator has the methods `get_state`, which returns a dict that JSON can
    hold, `set_state`, which takes such a dict, and `close`.
    """

  def describe(self, clip: np.ndarray) -> str:
    """Returns a text for people that says where a clip comes from.

    Args:
      clip: one row of a batch's 'clip'.
    """


def train(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    objective: step_lib.Objective,
    pipeline: TrainingData,
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
    position = close_at_end(Position(pipeline))
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
        settle()  # A state that is not finite is never saved.
        checkpoints.save(done, state, position.get_state(), config.to_dict())
      if is_preempted:
        raise Preempted(f'stopped at step {done}, all saved')
    return state


class Position:
  """Iterates over batches and counts the clips seen and skipped so far."""

  def __init__(self, pipeline: TrainingData):
    """Starts at the beginning of the stream.

    Args:
      pipeline: stream of batches.
    """
    self._iterator = pipeline.iterator()
    # Numbers of clips seen and skipped: by all processes up to the checkpoint
    # that the run resumed from, and by this process since then.
    self._before = np.zeros(2, int)
    self._here = np.zeros(2, int)

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns this process's rows of the next batch."""
    batch = next(self._iterator)
    self._here += len(batch['skipped']), batch['skipped'].sum()
    return batch

  def counts(self) -> dict[str, int]:
    """Returns the numbers of clips seen and skipped since the run began.

    They are sums over all processes, which must all call this method.

    Returns:
      'clips_seen' and 'clips_skipped', in this order.
    """
    everywhere = multihost_utils.process_allgather(self._here)
    total = self._before + everywhere.reshape(-1, 2).sum(0)
    return {'clips_seen': int(total[0]), 'clips_skipped': int(total[1])}

  def check(self, max_bad_share: float):
    """Checks that not too many clips were broken; all processes must call it.

    Args:
      max_bad_share: greatest share of broken clips among those seen.

    Raises:
      RuntimeError: the share is greater.
    """
    seen, skipped = self.counts().values()
    if skipped > max_bad_share * max(seen, MIN_CLIPS_SEEN):
      raise RuntimeError(
          f'{skipped} of {seen} clips could not be read, more than'
          f' max_bad_share={max_bad_share}; the log names the files'
      )

  def get_state(self) -> dict[str, Any]:
    """Returns the position and the counts, as a dict that JSON can hold."""
    return {'iterator': self._iterator.get_state()} | self.counts()

  def set_state(self, state: Mapping[str, Any]):
    """Moves to a position and continues its counts.

    Args:
      state: the position, as returned by `get_state`.
    """
    self._iterator.set_state(state['iterator'])
    self._before = np.array([state['clips_seen'], state['clips_skipped']])
    self._here = np.zeros(2, int)

  def close(self):
    """Closes the iterator, which may have worker processes."""
    self._iterator.close()


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


def check_finite(
    step: int,
    metrics: Mapping[str, jax.Array],
    clips: np.ndarray,
    pipeline: TrainingData,
    checkpoints: checkpoints_lib.Checkpoints,
):
  """Checks that loss, gradient and update of a step are finite.

  Args:
    step: number of the step, counted from 1.
    metrics: metrics of the step; reading them waits for the step to finish.
    clips: 'clip' of the batch, [B, ...], for the error message.
    pipeline: stream of the batch, which describes clips.
    checkpoints: checkpoints of the run, for the error message.

  Raises:
    NonFiniteError: a value is not finite.
  """
  not_finite = {
      key: float(metrics[key])
      for key in ('loss', 'gradient_norm', 'update_norm')
      if not math.isfinite(metrics[key])
  }
  if not_finite:
    described = '\n  '.join(pipeline.describe(clip) for clip in clips)
    raise NonFiniteError(
        f'step {step}: {not_finite}. Last good checkpoint:'
        f' {checkpoints.last_saved()}. The batch:\n  {described}'
    )
