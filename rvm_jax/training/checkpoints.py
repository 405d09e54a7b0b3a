"""Checkpoints of state, data position and config, written together.

A checkpoint is written in the background while the step after it is computed;
that step counts only when the checkpoint is whole, and no other is begun until
then. So whenever a run is killed, at most `save_every` steps are lost, and what
was computed of the next one.

Where a run takes its state from, in this order:
  1. the newest whole checkpoint of its workdir: everything goes on from there;
  2. without one, the parameters of `config.checkpoint.init_from`, if it is set:
     optimiser, data and step start anew;
  3. fresh parameters from `config.seed`.
"""

from collections.abc import Callable, Mapping
import os
from typing import Any

from absl import logging
import orbax.checkpoint as ocp

from rvm_jax import weights
from rvm_jax.storage import settings
from rvm_jax.training import step as step_lib
from rvm_jax.weights import runs

# Keys of a config that decide what is trained: a run's, or a readout's,
_WHAT = ('objective', 'model.', 'protocol.')
# but for those that change how it is computed and not what it is.
HOW_NOT_WHAT = ('model.dtype', 'model.attention', 'model.remat')


class Checkpoints:
  """The checkpoints of one run, in `workdir`/checkpoints/STEP."""

  def __init__(
      self,
      workdir: str | os.PathLike[str],
      *,
      save_every: int,
      keep_last: int,
      keep_every: int,
      init_from: str | None,
      fresh_decoder: bool,
  ):
    """Opens the folder.

    Args:
      workdir: of the run.
      save_every: steps between checkpoints.
      keep_last: this many of the newest are kept,
      keep_every: and every one whose step is a multiple of this for good.
      init_from: what a run without a checkpoint starts from; None for fresh
        parameters. See `weights.read_initial`.
      fresh_decoder: takes encoder and core alone from it.
    """
    self._init_from = init_from
    self._fresh_decoder = fresh_decoder
    self._save_every = save_every
    self.directory = os.path.join(os.path.abspath(workdir), runs.CHECKPOINTS)
    self._manager = ocp.CheckpointManager(
        self.directory,
        options=ocp.CheckpointManagerOptions(
            max_to_keep=keep_last,
            keep_period=keep_every,
            cleanup_tmp_directories=True,
        ),
    )

  def is_due(self, step: int) -> bool:
    return step % self._save_every == 0

  def is_preempted(self, step: int) -> bool:
    """Whether the run was told to stop (SIGTERM); all processes agree."""
    return self._manager.reached_preemption(step)

  def save(
      self,
      step: int,
      state: step_lib.TrainState,
      data: Mapping[str, Any],
      config: Mapping[str, Any],
  ):
    """Saves in the background: the state may change as soon as this returns."""
    self._manager.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            data=ocp.args.JsonSave(data),
            config=ocp.args.JsonSave(config),
        ),
        force=True,
    )

  def wait(self):
    """Until the save under way is whole, if there is one.

    Raises its error (a full disk, say); older checkpoints stay.
    """
    self._manager.wait_until_finished()

  def restore(
      self, shapes: step_lib.TrainState, config: Mapping[str, Any]
  ) -> tuple[step_lib.TrainState, dict[str, Any]] | None:
    """The newest whole checkpoint, or None where there is none.

    Args:
      shapes: the state as `jax.ShapeDtypeStruct`s with this run's shardings:
        the devices may be others than those that saved.
      config: this run's: its `model` and `protocol`, as far as it has them,
        must be the saved ones, and its `num_steps` not fewer than are done.

    Returns:
      State and data position.

    Raises:
      ValueError: the checkpoint is of something else, or has more steps.
    """
    step = self._manager.latest_step()
    if step is None:
      return None
    if step > config['num_steps']:
      raise ValueError(
          f'num_steps={config["num_steps"]} must be at least the {step} steps'
          f' that {self.directory} has'
      )
    saved = self._manager.restore(
        step, args=ocp.args.Composite(config=ocp.args.JsonRestore())
    ).config
    _check_config(f'{self.directory}/{step}', saved, config)
    restored = self._manager.restore(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(shapes),
            data=ocp.args.JsonRestore(),
        ),
    )
    logging.info('Resumed from %s/%d', self.directory, step)
    return restored.state, restored.data

  def start(
      self,
      shapes: step_lib.TrainState,
      init: Callable[[], step_lib.TrainState],
  ) -> step_lib.TrainState:
    """What a run without a checkpoint starts with.

    Args:
      shapes: as `restore` takes them.
      init: makes a fresh state.

    Raises:
      OSError, ValueError: see `weights.read_initial`; nothing was made yet.
    """
    if self._init_from is None:
      return init()
    initial = weights.read_initial(
        self._init_from, shapes.params, fresh_decoder=self._fresh_decoder
    )
    fresh = init()
    return fresh.replace(params=weights.put_initial(initial, fresh.params))

  def last_saved(self) -> str:
    """Path of the newest whole checkpoint on disk, or 'none'."""
    self.wait()
    self._manager.reload()
    step = self._manager.latest_step()
    return 'none' if step is None else f'{self.directory}/{step}'

  def close(self):
    """Waits for the save under way; raises its error."""
    try:
      self.wait()
    finally:
      self._manager.close()


def _check_config(
    path: str, saved: Mapping[str, Any], config: Mapping[str, Any]
):
  """Refuses what trains something else; logs every other difference."""
  changed = settings.list_differences(
      runs.complete(saved), runs.complete(config)
  )
  deciding = [
      f'config.{key}: {found}'
      for key, found in changed.items()
      if key.startswith(_WHAT) and key not in HOW_NOT_WHAT
  ]
  if deciding:
    raise ValueError(
        f'{path} was written with other settings:\n  '
        + '\n  '.join(deciding)
        + '\nGo on with its config, or start in another --workdir'
    )
  for key, found in changed.items():
    logging.warning('Resuming with a changed config: config.%s: %s', key, found)
