"""Examples: what a head is fitted to and scored on.

An example is a dict of arrays whose shapes are the same in a whole data set:
  frames: uint8 [T, H, W, 3], as the encoder sees them.
and the truths of its task, in pixels of those frames; queries are asked in
frame 0:
  label: int32 [], a class.
  tracks: float32 [P, T, 2], points (x, y); visible: bool [P, T]; is_valid:
    bool [P], False for padding.
  boxes: float32 [O, T, 4], (x0, y0, x1, y1), nan where there is none.
  depth: float32 [T, H, W], metres, 0 where it is not known.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from absl import logging
import grain
import numpy as np

from rvm_jax.data import sampler

# Records tried for one example before the run ends.
_MAX_TRIES = 10
_READ_AHEAD = 16


class Record(Protocol):
  """An example that is not read yet; it can be pickled.

  Attributes:
    name: no other record of the data set has it.
    files: paths of what it is read from; none if it is generated.
  """

  name: str
  files: Sequence[str]

  def read(self, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """The example; the same each time without `rng`, augmented with one.

    Raises:
      ValueError: it is broken (such as `video.BrokenVideo`).
    """


def read_all(
    records: Sequence[Record], start: int, num_workers: int
) -> Iterator[tuple[int, dict[str, np.ndarray] | None]]:
  """Yields the number and the example of each record from `start` on.

  In place of an example that is broken there is None; the log says why.

  Args:
    records: of a data set.
    start: the first to read.
    num_workers: processes that read; 0 for a thread. Workers need parsed absl
      flags and a guarded `__main__`.
  """
  numbers = grain.MapDataset.range(start, len(records))
  rows = numbers.map(_Read(records)).to_iter_dataset(
      grain.ReadOptions(num_threads=1, prefetch_buffer_size=_READ_AHEAD)
  )
  if num_workers:
    rows = rows.mp_prefetch(
        grain.MultiprocessingOptions(num_workers=num_workers)
    )
  for row in rows:
    number = int(row['number'])
    if 'reason' in row:
      logging.warning(
          'An example is left out: %s: %s', records[number].name, row['reason']
      )
    yield number, row.get('example')


class Draw:
  """Turns the number of a record into an example for a batch.

  A broken record is replaced by another, drawn from the same generator: as long
  as the same records are broken, the examples are the same. Beside the example
  there are `clip`, int64 [1], the number of its record, and `skipped`, int32
  [], the records that could not be read before it could.
  """

  def __init__(self, records: Sequence[Record], is_augmented: bool):
    """Takes a data set, and whether its examples are augmented."""
    self._records = records
    self._is_augmented = is_augmented
    self._logged = set()

  def __setstate__(self, state: dict[str, Any]):
    self.__dict__ = state
    sampler.live_with_parent()  # Unpickled: this is a worker.

  def __call__(
      self, number: int, rng: np.random.Generator
  ) -> dict[str, np.ndarray]:
    """Returns one example.

    Raises:
      RuntimeError: too many records in a row could not be read.
    """
    for skipped in range(_MAX_TRIES):
      record = self._records[number]
      try:
        example = record.read(rng if self._is_augmented else None)
      except ValueError as error:
        broken = error
      else:
        counts = {'clip': np.array([number]), 'skipped': np.int32(skipped)}
        return {key: np.asarray(x) for key, x in example.items()} | counts
      if number not in self._logged:
        self._logged.add(number)
        logging.warning('An example is skipped: %s: %s', record.name, broken)
      number = int(rng.integers(len(self._records)))
    raise RuntimeError(
        f'{_MAX_TRIES} examples in a row could not be read, the last:'
        f' {record.name}: {broken}'
    ) from broken


class _Read:
  """The example of a record; or the reason why there is none."""

  def __init__(self, records):
    self._records = records

  def __setstate__(self, state):
    self.__dict__ = state
    sampler.live_with_parent()  # Unpickled: this is a worker.

  def __call__(self, number):
    try:
      return {'number': number, 'example': self._records[number].read(None)}
    except ValueError as error:
      return {'number': number, 'reason': str(error)}
