"""Checks that the values of a training step are sound."""

from collections.abc import Mapping
import math

import jax
import numpy as np

from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import position as position_lib


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
