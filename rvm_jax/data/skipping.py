"""Records that cannot be read are skipped, replaced, counted and logged."""

from collections.abc import Callable
from typing import Any

from absl import logging
import numpy as np

from rvm_jax.data import workers

# Number of records that are tried, the requested one included, before an error
# ends the run.
_MAX_TRIES = 10


class BrokenRecord(ValueError):
  """A record that cannot be read.

  Attributes:
    name: the broken file, or another name for what is broken. Each name is
      logged once.
    reason: why the record cannot be read.
  """

  def __init__(self, name: str, reason: str):
    super().__init__(name, reason)
    self.name = name
    self.reason = reason

  def __str__(self):
    return f'{self.name}: {self.reason}'


class SkipBroken:
  """Reads records by number and replaces those that are broken.

  A record that cannot be read is replaced by one that is sampled uniformly from
  all records, with the same random generator. So as long as the same records
  are broken, the results are the same. Every process logs each broken name
  once.
  """

  def __init__(
      self,
      read: Callable[[int, np.random.Generator], dict[str, Any]],
      num_records: int,
      noun: str,
  ):
    """Wraps a function that reads one record.

    Args:
      read: function of a record's number and a random generator; returns
        arrays by name, or raises BrokenRecord.
      num_records: number of records that `read` can be asked for.
      noun: what messages call a record: 'clip', for instance.
    """
    self._read = read
    self._num_records = num_records
    self._noun = noun
    self._logged = set()

  def __setstate__(self, state: dict[str, Any]):
    self.__dict__ = state
    # Only a worker process unpickles this object.
    workers.live_with_parent()

  def __call__(self, number: int, rng: np.random.Generator) -> dict[str, Any]:
    """Returns what `read` returns for this record or for a replacement.

    Args:
      number: number of the record to try first.
      rng: random generator for `read` and for the choice of replacements.

    Returns:
      The arrays of `read`, and 'skipped', int32 [], the number of broken
      records before the one that could be read.

    Raises:
      RuntimeError: ten records in a row could not be read.
    """
    for skipped in range(_MAX_TRIES):
      try:
        return self._read(number, rng) | {'skipped': np.int32(skipped)}
      except BrokenRecord as error:
        # Keep the texts and not the error. The error's traceback refers to the
        # variables of this call; if one of these referred to the error, the two
        # would keep each other, and the frames that were read, in memory until
        # the garbage collector finds them.
        name, message = error.name, str(error)
      if name not in self._logged:
        self._logged.add(name)
        logging.warning('A broken %s is skipped: %s', self._noun, message)
      number = int(rng.integers(self._num_records))
    raise RuntimeError(
        f'{_MAX_TRIES} {self._noun}s in a row could not be read, the last:'
        f' {message}'
    )
