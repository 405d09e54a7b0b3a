"""Saves and restores the training state, the data position and the config.

A checkpoint is written in the background while the device computes the next
step. The loop waits until the checkpoint is complete before it starts the step
after that one. So a run that is killed loses at most `save_every` steps and the
one that was computed while a checkpoint was being written.

A run takes its initial state from the first of these that exists:
  1. the newest complete checkpoint of its workdir: the run resumes from it;
  2. the parameters at `config.checkpoint.init_from`, if that is set: the state
     of the optimizer, the data position and the step count are initialised;
  3. parameters initialised from `config.seed`.
"""

from collections.abc import Callable, Mapping
import os
import pathlib
from typing import Any

from absl import logging
import orbax.checkpoint as ocp

from rvm_jax import weights
from rvm_jax.storage import settings
from rvm_jax.training import step as step_lib
from rvm_jax.training import window
from rvm_jax.weights import runs

# Prefixes of the config keys that decide what is trained. A checkpoint with
# other values is not restored. 'model.' is in the config of a pretraining run,
# 'protocol.' in the config of a readout (`evals.fitting`).
_IDENTITY_PREFIXES = ('objective', 'model.', 'protocol.')
# Config keys that match a prefix but decide only how the model is computed.
# They may change when a run is resumed.
_COMPUTATION_KEYS = ('model.dtype', 'model.attention', 'model.remat')


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
    """Opens the folder of checkpoints and makes it if it does not exist.

    Args:
      workdir: folder of the run.
      save_every: number of steps between checkpoints.
      keep_last: number of newest checkpoints to keep; older ones are deleted.
      keep_every: checkpoints whose step is a multiple of this number are never
        deleted.
      init_from: path of the parameters that a run without a checkpoint starts
        from, see `weights.read_initial`; None to initialise them.
      fresh_decoder: whether only the encoder and the core are taken from
        `init_from`, and the decoder is initialised.
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
    """Returns whether a checkpoint is to be saved after this many steps."""
    return step % self._save_every == 0

  def save(
      self,
      step: int,
      state: step_lib.TrainState,
      data: Mapping[str, Any],
      config: Mapping[str, Any],
  ):
    """Starts to save a checkpoint in the background.

    The state is copied before this method returns, so that its buffers may then
    be donated to the next step.

    Args:
      step: number of steps done.
      state: training state after these steps.
      data: position in the stream of batches, as a dict that JSON can hold.
      config: the run's config as nested dicts.
    """
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
    """Waits until the checkpoint that is being saved, if any, is complete.

    If saving failed, for instance because the disk is full, its error is raised
    here. Older checkpoints stay as they are.
    """
    self._manager.wait_until_finished()

  def restore(
      self, shapes: step_lib.TrainState, config: Mapping[str, Any]
  ) -> tuple[step_lib.TrainState, dict[str, Any]] | None:
    """Reads the newest complete checkpoint.

    Args:
      shapes: the training state as `jax.ShapeDtypeStruct`s with the shardings
        of this run, whose devices may differ from those of the run that saved.
        It may have a window where the checkpoint has none, and vice versa.
      config: this run's config as nested dicts. Its `objective`, `model` and
        `protocol`, where present, must equal the saved ones except for
        settings of how the model is computed, such as `model.dtype`. Its
        `num_steps` must be at least the number of steps of the checkpoint.

    Returns:
      The training state and the data position, or None if the run has no
      checkpoint yet.

    Raises:
      ValueError: the config does not fit the checkpoint; the message names the
        settings that differ.
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
    arrays = ocp.PyTreeCheckpointHandler().metadata(
        pathlib.Path(self.directory, str(step), 'state')
    )
    restored = self._manager.restore(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(window.as_saved(shapes, arrays)),
            data=ocp.args.JsonRestore(),
        ),
    )
    logging.info('Resumed from %s/%d', self.directory, step)
    return window.as_wanted(restored.state, shapes), restored.data

  def start(
      self,
      shapes: step_lib.TrainState,
      init: Callable[[], step_lib.TrainState],
  ) -> step_lib.TrainState:
    """Returns the initial state of a run that has no checkpoint.

    Args:
      shapes: the training state as `jax.ShapeDtypeStruct`s.
      init: function that returns an initialised training state. It is called
        only after the parameters at `init_from`, if set, have been read.

    Raises:
      OSError: nothing can be read at `init_from`.
      ValueError: the parameters at `init_from` do not fit, see
        `weights.read_initial`.
    """
    if self._init_from is None:
      return init()
    initial = weights.read_initial(
        self._init_from, shapes.params, fresh_decoder=self._fresh_decoder
    )
    fresh = init()
    return fresh.replace(params=weights.put_initial(initial, fresh.params))

  def last_saved(self) -> str:
    """Returns the path of the newest complete checkpoint, or 'none'."""
    self.wait()
    self._manager.reload()
    step = self._manager.latest_step()
    return 'none' if step is None else f'{self.directory}/{step}'

  def close(self):
    """Waits as `wait` does, and closes the checkpoint manager in any case."""
    try:
      self.wait()
    finally:
      self._manager.close()


def _check_config(
    path: str, saved: Mapping[str, Any], config: Mapping[str, Any]
):
  """Checks that a run may resume from a checkpoint, given both configs.

  Differences that do not prevent it are logged as warnings.

  Args:
    path: path of the checkpoint, for the error message.
    saved: config in the checkpoint, as nested dicts.
    config: config of the run that is to resume, as nested dicts.

  Raises:
    ValueError: the configs differ in objective, model or protocol.
  """
  changed = settings.list_differences(
      runs.complete(saved), runs.complete(config)
  )
  conflicts = [
      f'config.{key}: {found}'
      for key, found in changed.items()
      if key.startswith(_IDENTITY_PREFIXES) and key not in _COMPUTATION_KEYS
  ]
  if conflicts:
    raise ValueError(
        f'{path} was written with other settings:\n  '
        + '\n  '.join(conflicts)
        + '\nGo on with its config, or start in another --workdir'
    )
  for key, found in changed.items():
    logging.warning('Resuming with a changed config: config.%s: %s', key, found)
