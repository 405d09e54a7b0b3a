"""Saves and restores the training state, the data position and the config.

The checkpoint after step n is written in the background while the devices
compute step n + 1. The loop waits until the checkpoint is whole before it
starts step n + 2. So a run that is killed loses at most `save_every` steps and
the one that was computed while a checkpoint was being written. If a checkpoint
cannot be written, the run goes on without it.

A run takes its initial state from the first of these that exists:
  1. the newest checkpoint of its workdir that is whole and whose arrays have
     the digests that were saved with them: the run resumes from it. Damaged
     ones are moved aside;
  2. the parameters at `config.checkpoint.init_from`, if that is set: the state
     of the optimizer, the data position and the step count are initialised;
  3. parameters initialised from `config.seed`.
"""

from collections.abc import Callable, Mapping
import os
import threading
from typing import Any

from absl import logging
import jax
from jax.experimental import multihost_utils
import numpy as np

from rvm_jax.runtime import errors
from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.training import resuming
from rvm_jax.training import saving
from rvm_jax.training import step as step_lib
from rvm_jax.weights import runs

# Folder of a workdir to which damaged checkpoints are moved.
DAMAGED = 'damaged_checkpoints'


class SaveError(OSError):
  """The last checkpoint of a run could not be written."""


class StopNotSavedError(SaveError, errors.Restartable):
  """A run that was told to stop could not write a checkpoint.

  A launcher starts the run again, from the newest checkpoint that exists.
  """


class Checkpoints:
  """The checkpoints of one run.

  Each is a folder checkpoints/STEP in the workdir or the bucket. All processes
  of the run must call each method together.

  Attributes:
    directory: folder of the checkpoints.
  """

  def __init__(
      self,
      workdir: str | os.PathLike[str],
      *,
      save_every: int,
      keep_last: int,
      keep_every: int,
      verify: bool = True,
      bucket: str | None = None,
      init_from: str | None,
      fresh_decoder: bool,
  ):
    """Opens the folder of checkpoints and makes it if it does not exist.

    Unfinished checkpoints, which killed processes have left, are removed.

    Args:
      workdir: folder of the run.
      save_every: number of steps between checkpoints.
      keep_last: number of newest checkpoints to keep; older ones are deleted
        once a newer one is whole.
      keep_every: checkpoints whose step is a multiple of this number are never
        deleted.
      verify: whether `restore` compares a checkpoint with its digests.
      bucket: URL of a folder that takes the place of `workdir` for the
        checkpoints, such as 'gs://bucket/run'; None to use `workdir`.
      init_from: path of the parameters that a run without a checkpoint starts
        from, see `weights.read_initial`; None to initialise them.
      fresh_decoder: whether only the encoder and the core are taken from
        `init_from`, and the decoder is initialised.

    Raises:
      OSError: the folder cannot be made.
      ValueError: `bucket` is a URL that does not begin with 'gs://'.
    """
    self._init_from = init_from
    self._fresh_decoder = fresh_decoder
    self._save_every = save_every
    self._keep_last = keep_last
    self._keep_every = keep_every
    self._verify = verify
    self._workdir = checkpoint_files.locate(bucket or workdir)
    self.directory = self._workdir / runs.CHECKPOINTS
    self._save: saving.Save | None = None
    # Why the newest checkpoint could not be saved; '' if it could.
    self._failure = ''
    self._deletion: threading.Thread | None = None
    if jax.process_index() == 0:
      self.directory.mkdir(parents=True, exist_ok=True)
      saving.remove_unfinished(self.directory)

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

    If the checkpoint before is still being written, this method waits for it
    first. The state is copied before this method returns, so that its buffers
    may then be donated to the next step. The devices that hold the state
    compute its digests; benchmarks/checkpoints.py measures what that costs.

    Args:
      step: number of steps done.
      state: training state after these steps.
      data: position in the stream of batches, as a dict that JSON can hold.
      config: the run's config as nested dicts.
    """
    self.wait()
    path = self.directory / str(step)
    self._save = saving.Save(path, state.parts(), data, config)

  def wait(self):
    """Waits until the checkpoint that is being saved, if any, is whole.

    Old checkpoints that are not to be kept are then deleted in the background.
    If the checkpoint could not be saved, for instance because the disk is full,
    a warning says so, and older checkpoints stay as they are.
    """
    if self._save is None:
      return
    save, self._save = self._save, None
    reason = save.finish()
    self._failure = (
        f'{save.path} could not be saved: {reason}' if reason else ''
    )
    if jax.process_index() > 0:
      return
    if self._failure:
      logging.warning(
          '%s. The run goes on, and will try to save the next one. Newest'
          ' checkpoint: %s',
          self._failure,
          self._name_newest(),
      )
    else:
      # The deletion has a thread of its own, so that the next step, which all
      # processes do together, does not wait for a slow disk.
      self._join_deletion()
      self._deletion = threading.Thread(target=self._delete_old, name='delete')
      self._deletion.start()

  def finish(self, *, is_last: bool):
    """Waits as `wait` does, before a run ends.

    Args:
      is_last: whether all steps are done; else the run was told to stop.

    Raises:
      SaveError: the newest checkpoint could not be saved. The message names the
        newest one that exists. If the run was told to stop, the error is a
        StopNotSavedError.
    """
    self.wait()
    if self._failure:
      error = SaveError if is_last else StopNotSavedError
      raise error(f'{self._failure}. Newest checkpoint: {self._name_newest()}')

  def restore(
      self, shapes: step_lib.TrainState, config: Mapping[str, Any]
  ) -> tuple[step_lib.TrainState, dict[str, Any]] | None:
    """Reads the newest checkpoint that is not damaged.

    With `verify` a checkpoint whose digests differ counts as damaged. Newer
    checkpoints that are damaged are moved to the folder `DAMAGED` beside the
    folder of checkpoints, with a warning.

    Args:
      shapes: the training state as `jax.ShapeDtypeStruct`s with the shardings
        of this run, whose devices may differ from those of the run that saved.
        The window of `spikes`, the EMA and the dtype of the optimizer's moments
        may differ from those of the checkpoint, and are converted.
      config: this run's config as nested dicts. Its `objective`, `model` and
        `protocol`, where present, must equal the saved ones except for
        settings of how the model is computed, such as `model.dtype`. Its
        `num_steps` must be at least the number of steps of the checkpoint.

    Returns:
      The training state and the data position, or None if the run has no
      checkpoint yet.

    Raises:
      ValueError: the config does not fit the checkpoint, and the message names
        the settings that differ; or all checkpoints are damaged.
      OSError: a damaged checkpoint cannot be moved.
    """
    aside = self._workdir / DAMAGED
    while (step := self._find_newest()) is not None:
      path = self.directory / str(step)
      try:
        return resuming.read(path, shapes, config, verify=self._verify)
      except damage.DamagedError as error:
        resuming.move_aside(path, aside, error.reason)
    if aside.is_dir() and any(aside.iterdir()):
      raise ValueError(
          f'{self.directory} has no good checkpoint, and {aside} has damaged'
          ' ones. To start from scratch, remove that folder or use another'
          ' --workdir'
      )
    return None

  def start(
      self,
      shapes: step_lib.TrainState,
      init: Callable[[], step_lib.TrainState],
      config: Mapping[str, Any],
  ) -> step_lib.TrainState:
    """Returns the initial state of a run; see `resuming.make_initial`."""
    return resuming.make_initial(
        shapes,
        init,
        config,
        init_from=self._init_from,
        fresh_decoder=self._fresh_decoder,
    )

  def last_saved(self) -> str:
    """Returns the path of the newest good checkpoint, or 'none'.

    The checkpoint is read, and compared with its digests. This takes about as
    long as restoring it, but uses no memory of the devices.
    """
    self.wait()
    step = None
    if jax.process_index() == 0:
      step = checkpoint_files.find_good(self.directory)
    return self._name(_tell(step))

  def close(self):
    """Waits for files that are being written or deleted, and does not raise.

    With several processes this method does not complete a checkpoint: if only
    one process has failed, the others may not call `close`, and it would wait
    for them for ever. A checkpoint that `wait` has not completed is then lost.
    """
    if jax.process_count() == 1:
      self.wait()
    self._join_deletion()

  def _find_newest(self) -> int | None:
    """Returns the step of the newest checkpoint as process 0 sees it."""
    steps = checkpoint_files.find_steps(self.directory)
    return _tell(steps[-1] if steps else None)

  def _name_newest(self) -> str:
    """Returns the path of the newest checkpoint as this process sees it."""
    steps = checkpoint_files.find_steps(self.directory)
    return self._name(steps[-1] if steps else None)

  def _name(self, step: int | None) -> str:
    """Returns the path of a checkpoint, or 'none'."""
    return 'none' if step is None else f'{self.directory}/{step}'

  def _delete_old(self):
    """Deletes the checkpoints that are not to be kept."""
    steps = checkpoint_files.find_steps(self.directory)
    for step in steps[: -self._keep_last]:
      if step % self._keep_every:
        saving.delete(self.directory / str(step))

  def _join_deletion(self):
    """Waits until old checkpoints are deleted."""
    if self._deletion is not None:
      self._deletion.join()


def _tell(step: int | None) -> int | None:
  """Returns, in every process, the `step` that process 0 has passed."""
  told = multihost_utils.broadcast_one_to_all(
      np.int32(-1 if step is None else step)
  )
  return None if told < 0 else int(told)
