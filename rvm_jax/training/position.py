"""The position of a run in its stream of batches."""

from collections.abc import Mapping
from typing import Any, Protocol

from jax.experimental import multihost_utils
import numpy as np

# The share of skipped clips is computed over at least this many clips, so that
# a single broken clip at the start does not end a run.
MIN_CLIPS_SEEN = 100


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


class Position:
  """Iterates over batches and counts the clips seen and skipped so far."""

  def __init__(self, pipeline: TrainingData):
    """Starts at the beginning of the stream.

    Args:
      pipeline: stream of batches.
    """
    self._iterator = pipeline.iterator()
    # Numbers of clips seen and skipped by all processes, up to the checkpoint
    # that the run resumed from.
    self._before = np.zeros(2, int)
    # Numbers of clips seen and skipped by this process since then.
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
          f' config.data.max_bad_share={max_bad_share}; the log names the'
          ' files. Repair or remove them, or raise the setting'
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
