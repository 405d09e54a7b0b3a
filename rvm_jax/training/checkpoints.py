"""Saves and restores the training state, the data position and the config.

A checkpoint is written in the background while the device computes the next
step. The loop waits until the checkpoint is whole before it starts the step
after that one. So a run that is killed loses at most `save_every` steps and the
one that was computed while a checkpoint was being written. A checkpoint that
cannot be written is missing, and the run goes on.

A run takes its initial state from the first of these that exists:
  1. the newest checkpoint of its workdir that is whole and, according to its
     digests, what was saved: the run resumes from it. Damaged ones are moved
     aside;
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
  """A run that was told to stop could not write a checkpoint."""


class Checkpoints:
  """The checkpoints of one run, in `workdir` or `bucket`/checkpoints/STEP.

  All processes of the run must call each method together.

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

    Args:
      workdir: folder of the run.
      save_every: number of steps between checkpoints.
      keep_last: number of newest checkpoints to keep; older ones are deleted
        once a newer one is whole.
      keep_every: checkpoints whose step is a multiple of this number are never
        deleted.
      verify: whether `restore` compares a checkpoint with its digests.
      bucket: URL of a folder that takes the place of `workdir`, such as
        'gs://bucket/run'; None to use `workdir`.
      init_from: path of the parameters that a run without a checkpoint starts
        from, see `weights.read_initial`; None to initialise them.
      fresh_decoder: whether only the encoder and the core are taken from
        `init_from`, and the decoder is initialised.

    Raises:
      OSError: the folder cannot be made.
      ValueError: `bucket` is no URL that can be written to.
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
    # Why the newest checkpoint could not be saved, '' if it was.
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

    The state is copied before this method returns, so that its buffers may then
    be donated to the next step. Its digests are computed by its devices; see
    benchmarks/checkpoints.py for what that costs.

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

    If it could not be saved, for instance because the disk is full, a warning
    says so. Older checkpoints stay as they are.
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
      # Other processes do not wait for a slow disk.
      self._join_deletion()
      self._deletion = threading.Thread(target=self._delete_old, name='delete')
      self._deletion.start()

  def finish(self, *, is_last: bool):
    """Waits as `wait` does, before a run ends.

    Args:
      is_last: whether all steps are done; else the run was told to stop.

    Raises:
      SaveError: the newest checkpoint could not be saved. The message names the
        newest one that there is. If the run was told to stop, it is a
        StopNotSavedError: a restart may go on from there.
    """
    self.wait()
    if self._failure:
      error = SaveError if is_last else StopNotSavedError
      raise error(f'{self._failure}. Newest checkpoint: {self._name_newest()}')

  def restore(
      self, shapes: step_lib.TrainState, config: Mapping[str, Any]
  ) -> tuple[step_lib.TrainState, dict[str, Any]] | None:
    """Reads the newest checkpoint that is whole and verified.

    Newer ones that are damaged are moved to `workdir`/damaged_checkpoints, with
    a warning.

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
    long as to restore it, but no memory of devices.
    """
    self.wait()
    step = None
    if jax.process_index() == 0:
      step = checkpoint_files.find_good(self.directory)
    return self._name(_tell(step))

  def close(self):
    """Waits for what is being written, and does not raise.

    Of several processes one may be the only one to come here, because it has
    failed. A checkpoint that they have not agreed on is then missing.
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
  """Returns the step that process 0 gives."""
  told = multihost_utils.broadcast_one_to_all(
      np.int32(-1 if step is None else step)
  )
  return None if told < 0 else int(told)
