"""Spikes: steps whose loss or gradient norm is far above that of recent steps.

A step is a spike if its loss or its gradient norm lies more than `sigmas`
standard deviations above the mean of the last `window` steps. `config.spikes`
says what then happens:

  'none': nothing, every update is applied. The state has no window.
  'skip': the update is not applied: the parameters, their EMA and the state of
    the optimizer, which holds its position in the learning rate schedule, stay
    as they are. The run goes on with the next batch, and the log has a warning.
  'stop': the run ends with an error.

The window is part of the training state and lives on the devices, so that the
decision is made within the step: the host does not wait for it, and a resumed
run makes the same decisions. Nothing is a spike before the window is full.

A spike enters the window with the greatest value that would not be a spike. Its
own value would widen the standard deviation so much that the next spike might
not be found. The value that enters widens it a little, so that after a lasting
change of level the steps no longer count as spikes in the end. With a window of
128 steps and 6 sigmas, this takes about 6 steps if the level rises by 10
standard deviations, 24 if it rises by 100, and 61 if it rises by 10,000
(measured on normally distributed values).

Every spike is also written to `spikes.jsonl` of the workdir with all clips of
the batch; `python -m rvm_jax.training.replay` computes such a step again.
"""

from collections.abc import Mapping
import dataclasses
import os
from typing import Any

from absl import logging
import jax
from jax.experimental import multihost_utils
import jax.numpy as jnp
import ml_collections
import numpy as np

from rvm_jax.storage import json_lines
from rvm_jax.training import checkpoints as checkpoints_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training import window as window_lib

# File of a workdir with a line of JSON for each spike.
LOG = 'spikes.jsonl'
# Least standard deviation, as a share of the absolute value of the mean.
# Differences below it are taken for rounding errors.
MIN_DEVIATION = 1e-6
# The warning names this many clips; the file has all.
NUM_SHOWN = 3


class SpikeError(RuntimeError):
  """A step is a spike, and the policy is to stop."""


@dataclasses.dataclass(frozen=True)
class Guard:
  """The `step.Guard` that finds spikes and treats them as the policy says.

  Attributes:
    policy: 'skip' or 'stop'.
    window: number of steps W in the window.
    sigmas: number of standard deviations; a value that lies further above the
      mean is a spike.
  """

  policy: str
  window: int
  sigmas: float

  def watch(self, state: step_lib.TrainState) -> window_lib.WatchedState:
    """Returns a state with an empty window."""
    return window_lib.with_window(state, window_lib.empty(self.window))

  def judge(
      self,
      before: window_lib.WatchedState,
      after: window_lib.WatchedState,
      metrics: step_lib.Metrics,
  ) -> tuple[window_lib.WatchedState, step_lib.Metrics]:
    """Returns the state after a step, without its update if it is a spike.

    Args:
      before: training state before the step.
      after: training state after the step, with the update applied.
      metrics: metrics of the step, among them those in `window_lib.WATCHED`.

    Returns:
      The state, whose window contains the step; and metrics, float32 [] each:
      'loss_sigmas' and 'gradient_norm_sigmas', the distance of each value from
      the mean of the window before this step in standard deviations, 0 until
      the window is full; 'skipped_updates', the number of spikes so far.
    """
    window = before.window
    is_full = window.count >= self.window
    distances, values = {}, {}
    for key in window_lib.WATCHED:
      # The distance of the value from the mean, in standard deviations.
      recent = window.values[key]  # [W]
      mean = recent.mean()
      deviation = jnp.maximum(recent.std(), MIN_DEVIATION * jnp.abs(mean))
      # The deviation is still zero if all values in the window are zero.
      deviation = jnp.maximum(deviation, jnp.finfo(jnp.float32).tiny)
      distances[key] = jnp.where(is_full, (metrics[key] - mean) / deviation, 0)
      # The value, or the greatest value that is no spike if that is smaller,
      # takes the place of the oldest one in the window.
      greatest = jnp.where(is_full, mean + self.sigmas * deviation, jnp.inf)
      entry = jnp.minimum(metrics[key], greatest)
      values[key] = recent.at[window.count % self.window].set(entry)
    is_spike = jnp.array([*distances.values()]).max() > self.sigmas
    window = window_lib.Window(
        values, window.count + 1, window.skipped + is_spike
    )

    def choose_leaf(old, new):
      # A choice between bfloat16 arrays would cost a TPU one more pass over
      # memory. So the choice is made in float32, before the compiled program
      # rounds the new values to bfloat16. This changes no value.
      dtype = old.dtype
      if dtype == jnp.bfloat16:
        old, new = old.astype(jnp.float32), new.astype(jnp.float32)
      return jnp.where(is_spike, old, new).astype(dtype)

    def choose(old, new):
      return jax.tree.map(choose_leaf, old, new)

    after = after.replace(
        params=choose(before.params, after.params),
        opt_state=choose(before.opt_state, after.opt_state),
        ema=choose(before.ema, after.ema),
        window=window,
    )
    found = {f'{key}_sigmas': x for key, x in distances.items()}
    return after, found | {'skipped_updates': window.skipped.astype(float)}

  def report(
      self,
      step: int,
      metrics: Mapping[str, jax.Array],
      clips: np.ndarray,
      pipeline: position_lib.TrainingData,
      checkpoints: checkpoints_lib.Checkpoints,
      workdir: str | os.PathLike[str],
  ):
    """Warns of a step that is a spike, or stops; all processes must call it.

    Args:
      step: number of the step, counted from 1.
      metrics: metrics of the step; reading them waits for the step to finish.
      clips: the array 'clip' of this process's rows of the batch, [B, ...].
      pipeline: stream that the batch is from, which names clips by `describe`.
      checkpoints: checkpoints of the run, for the error message.
      workdir: folder of the run, where process 0 writes `LOG`.

    Raises:
      SpikeError: the step is a spike, and the policy is 'stop'.
    """
    distances = [float(metrics[f'{key}_sigmas']) for key in window_lib.WATCHED]
    # The devices have compared in float32, and so must the host.
    if max(distances) <= np.float32(self.sigmas):
      return
    # The names of the clips of all processes, in the order of the batch.
    everywhere = multihost_utils.process_allgather(clips)
    names = [
        pipeline.describe(clip)
        for clip in everywhere.reshape(-1, *clips.shape[1:])
    ]
    if jax.process_index() == 0:
      _write(workdir, step, metrics, names)
    what = ' and '.join(
        f'{key.replace("_", " ")} {float(metrics[key]):.6g} is'
        f' {distance:.4g} standard deviations above the mean of the last'
        f' {self.window} steps'
        for key, distance in zip(window_lib.WATCHED, distances)
        if distance > np.float32(self.sigmas)
    )
    found = f'step {step}: {what}; the limit is {self.sigmas:g}'
    if self.policy == 'stop':
      described = '\n  '.join(names)
      raise SpikeError(
          f'{found}. Last good checkpoint: {checkpoints.last_saved()}. To go on'
          ' from there without the update of this step, set config.spikes'
          f".policy='skip'. The batch:\n  {described}"
      )
    logging.warning(
        '%s. Its update is skipped (%d skipped so far). Clips of the batch:'
        ' %s%s (all are in %s)',
        found,
        int(metrics['skipped_updates']),
        ', '.join(names[:NUM_SHOWN]),
        ', ...' * (len(names) > NUM_SHOWN),
        os.path.join(workdir, LOG),
    )


def from_config(config: ml_collections.ConfigDict) -> Guard | None:
  """Returns the guard of a run; None if its policy is 'none'.

  Args:
    config: the run's config. One without the group `spikes`, such as that of a
      readout or of an earlier version, has the policy 'none'.
  """
  if 'spikes' not in config or config.spikes.policy == 'none':
    return None
  return Guard(**config.spikes)


def count_updates(num_steps: int, metrics: Mapping[str, Any]) -> int:
  """Returns a number of steps less the number of updates that were skipped.

  Args:
    num_steps: number of steps.
    metrics: metrics of a step, with the number of updates skipped so far;
      without that number none was skipped.
  """
  if 'skipped_updates' in metrics:
    return num_steps - int(metrics['skipped_updates'])
  return num_steps


def _write(
    workdir: str | os.PathLike[str],
    step: int,
    metrics: Mapping[str, jax.Array],
    names: list[str],
):
  """Appends a line on a spike to the workdir's `LOG`."""
  line: dict[str, Any] = {'step': step}
  line |= {key: float(value) for key, value in metrics.items()}
  log = json_lines.Appender(os.path.join(workdir, LOG))
  log.append(line | {'clips': names})
