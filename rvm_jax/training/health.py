"""Checks that the values of a training step are sound."""

from collections.abc import Mapping
import math
import os

import jax
import numpy as np

from rvm_jax.runtime import watchdog as watchdog_lib
from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import spikes


class NonFiniteError(RuntimeError):
  """The loss, the gradient or the update of a step is not finite."""


def check_finite(
    step: int,
    metrics: Mapping[str, jax.Array],
    clips: np.ndarray,
    pipeline: position_lib.TrainingData,
    checkpoints: checkpoints_lib.Checkpoints,
):
  """Checks that loss, gradient and update of a step are finite.

  Args:
    step: number of the step, counted from 1.
    metrics: metrics of the step; reading them waits for the step to finish.
    clips: the array 'clip' of this process's rows of the batch, [B, ...], for
      the error message.
    pipeline: stream that the batch is from, which names clips by `describe`.
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
        f'step {step}: not finite: {not_finite}. Last good checkpoint:'
        f' {checkpoints.last_saved()}. Look at the clips of this step, or go on'
        f' with a lower learning rate. The batch:\n  {described}'
    )


class Monitor:
  """Checks each step once it is done, while the next one is computed."""

  def __init__(
      self,
      pipeline: position_lib.TrainingData,
      checkpoints: checkpoints_lib.Checkpoints,
      watchdog: watchdog_lib.Watchdog | watchdog_lib.Off,
      guard: spikes.Guard | None,
      workdir: str | os.PathLike[str],
  ):
    """Creates a monitor that has no step to check yet.

    Args:
      pipeline: stream of the batches, which names clips by `describe`.
      checkpoints: checkpoints of the run, for error messages.
      watchdog: watchdog, which is told of each step that is done.
      guard: guard that reports steps that are spikes; None if the run does not
        look for spikes.
      workdir: folder of the run, where spikes are written down.
    """
    self._pipeline = pipeline
    self._checkpoints = checkpoints
    self._watchdog = watchdog
    self._guard = guard
    self._workdir = workdir
    # Number, metrics and clips of a step that was dispatched and is not checked
    # yet.
    self._pending: tuple[int, Mapping[str, jax.Array], np.ndarray] | None = None

  def add(self, step: int, metrics: Mapping[str, jax.Array], clips: np.ndarray):
    """Checks the previous step, and keeps a new one to be checked later.

    Args:
      step: number of the new step, counted from 1.
      metrics: metrics of the new step, which the devices may not have computed
        yet.
      clips: the array 'clip' of this process's rows of its batch, [B, ...].

    Raises:
      NonFiniteError: a value of the previous step is not finite.
      SpikeError: the previous step is a spike, and `config.spikes.policy` is
        'stop'.
    """
    self.settle()
    self._pending = step, metrics, clips

  def settle(self):
    """Waits for the step that was added last, if any, and checks it.

    Raises:
      NonFiniteError: a value of the step is not finite.
      SpikeError: the step is a spike, and `config.spikes.policy` is 'stop'.
    """
    if self._pending is not None:
      arguments = *self._pending, self._pipeline, self._checkpoints
      check_finite(*arguments)
      if self._guard is not None:
        self._guard.report(*arguments, self._workdir)
      self._watchdog.beat(self._pending[0])
      self._pending = None
