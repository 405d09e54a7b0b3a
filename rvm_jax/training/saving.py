"""Writes one checkpoint in the background, by all processes of a run.

Each process writes its own part of the state. Then they agree on whether all
have succeeded, and process 0 makes the checkpoint appear. If anything fails in
any process, for instance because the disk is full, nothing appears and what was
written is removed, in all processes alike.

Orbax's own checkpointers are not used to write, because their processes wait
for each other before they know whether one has failed: a full disk of one host
would hold up all others for ten minutes. The files are those that Orbax's own
checkpointers would write.
"""

import asyncio
from collections.abc import Callable, Mapping
import threading
import time
from typing import Any

from absl import logging
from etils import epath
import jax
import orbax.checkpoint as ocp

from rvm_jax.runtime import agreement
from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.storage import digests

# Orbax's suffix of the name of a checkpoint that is not whole yet.
UNFINISHED = '.orbax-checkpoint-tmp'
# Seconds to wait before a folder is removed once more.
_REMOVAL_WAITS = (0.05, 0.2, 1.0)


class Save:
  """A checkpoint that is being written."""

  def __init__(
      self,
      path: epath.Path,
      state: Mapping[str, Any],
      data: Mapping[str, Any],
      config: Mapping[str, Any],
  ):
    """Starts to write a checkpoint; all processes must do so together.

    When this method returns, the state has been copied and the computation of
    its digests has been dispatched, so that its buffers may be donated.

    Args:
      path: folder of the checkpoint, which does not exist yet.
      state: the training state, a tree of jax.Arrays by name.
      data: position in the data, as a dict that JSON can hold.
      config: config of the run, as nested dicts.
    """
    # Orbax's threads would print each error that is reported below anyway.
    damage.drop_repeated()
    self.path = path
    # A folder on a bucket cannot be renamed, so it has its final name from the
    # start. It counts as whole once it has its digests.
    is_url = checkpoint_files.is_url(path)
    self._part = path if is_url else path.with_name(path.name + UNFINISHED)
    # Whether this process has touched `self._part`, and must remove it if the
    # save fails.
    self._has_begun = False
    self._data, self._config = data, config
    self._handler = ocp.StandardCheckpointHandler()
    self._digests = digests.start(state)
    self._thread: threading.Thread | None = None
    self._reason = agreement.gather_reasons(attempt(self._begin))
    if not self._reason:
      # The thread replaces this reason when it ends, unless it dies.
      self._reason = 'the thread that writes it has ended'
      is_copied = threading.Event()
      self._thread = threading.Thread(
          target=self._write, args=(state, is_copied), name='save'
      )
      self._thread.start()
      is_copied.wait()

  def finish(self) -> str:
    """Waits until the checkpoint is whole; all processes must call this method.

    Returns:
      '' if the checkpoint is whole, else what has failed, in one line. All
      processes get the same text.
    """
    reason = self._reason
    if self._thread is not None:
      self._thread.join()
      reason = agreement.gather_reasons(self._reason)
    if not reason:
      reason = agreement.gather_reasons(attempt(self._commit))
    if reason and self._has_begun:
      remove(self._part)
    self._handler.close()
    return reason

  def _begin(self):
    """Makes the folder and writes its JSON files, both in process 0."""
    if jax.process_index() == 0:
      if self.path.exists():
        raise FileExistsError(f'{self.path} is there already')
      self._has_begun = True
      remove(self._part)
      (self._part / checkpoint_files.STATE).mkdir(parents=True)
      checkpoint_files.write_json(self._part, checkpoint_files.DATA, self._data)
      checkpoint_files.write_json(
          self._part, checkpoint_files.CONFIG, self._config
      )

  def _write(self, state: Mapping[str, Any], is_copied: threading.Event):
    """Writes the part of the state that this process has, in a thread.

    Args:
      state: the training state, a tree of jax.Arrays by name.
      is_copied: event, which is set when the state may be donated.
    """

    async def write():
      writes = await self._handler.async_save(
          self._part / checkpoint_files.STATE,
          args=ocp.args.StandardSave(state),
      )
      is_copied.set()
      # The event loop stays open until all is written, since writes report to
      # it.
      for part in writes or ():
        await asyncio.to_thread(part.result)

    try:
      self._reason = attempt(lambda: asyncio.run(write()))
    finally:
      is_copied.set()

  def _commit(self):
    """Makes the checkpoint appear, in process 0."""
    if jax.process_index() == 0:
      self._handler.finalize(self._part / checkpoint_files.STATE)
      checkpoint_files.write_digests(
          self._part,
          self._config,
          self._data,
          {key: x.text for key, x in self._digests.result().items()},
      )
      if self._part != self.path:
        self._part.rename(self.path)


def delete(path: epath.Path):
  """Deletes a checkpoint.

  Before its files are removed, it is marked as unfinished, so that a checkpoint
  that is deleted only in part is never taken for a whole one.

  Args:
    path: folder of the checkpoint.
  """
  if checkpoint_files.is_url(path):
    remove(path / checkpoint_files.DIGESTS)
    remove(path)
  else:
    remove(path.rename(path.with_name(path.name + UNFINISHED)))


def remove(path: epath.Path):
  """Removes a folder with all that is in it, if it exists.

  If it cannot be removed, a warning says so, and it is left. When a save has
  failed, threads of TensorStore may still write to the folder for a moment, so
  that several attempts are made.

  Args:
    path: the folder.
  """
  for wait in (*_REMOVAL_WAITS, None):
    try:
      if path.exists():
        path.rmtree()
      return
    except OSError as error:
      if wait is None:
        reason = damage.summarize(error)
        logging.warning('%s cannot be removed: %s', path, reason)
      else:
        time.sleep(wait)


def remove_unfinished(directory: epath.Path):
  """Removes what killed processes have left of checkpoints.

  Args:
    directory: folder of the checkpoints, which no other run uses.
  """
  # A folder of a bucket exists only while something is in it.
  if not directory.is_dir():
    return
  whole = {str(step) for step in checkpoint_files.find_steps(directory)}
  for path in list(directory.iterdir()):
    is_unfinished = UNFINISHED in path.name or (
        checkpoint_files.is_url(path) and path.name not in whole
    )
    if is_unfinished:
      remove(path)


def attempt(action: Callable[[], object]) -> str:
  """Returns '' if an action succeeds, else what has failed, in one line.

  Args:
    action: function to call. Its OSErrors, RuntimeErrors and ValueErrors are
      caught, since errors of files and devices are of these types.
  """
  try:
    action()
  except (OSError, RuntimeError, ValueError) as error:
    return damage.summarize(error)
  return ''
