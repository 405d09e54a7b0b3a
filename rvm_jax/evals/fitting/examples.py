"""Examples: what a head is fitted to and scored on.

An example is a dict of arrays. Their names, dtypes and shapes are the same in
the whole data set. It holds

  frames: uint8 [T, H, W, 3], as the encoder sees them

and the ground truth of its task, in pixels of those frames. Queries are asked
in frame 0.

  label: int32 [], the number of a class.
  tracks: float32 [P, T, 2], points (x, y).
  visible: bool [P, T], whether each of these points is seen.
  is_valid: bool [P], False for points that are padding.
  boxes: float32 [O, T, 4], (x0, y0, x1, y1), NaN where an object has no box.
  depth: float32 [T, H, W], metres, 0 where it is not known.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from absl import logging
import grain
import numpy as np

from rvm_jax.data import skipping
from rvm_jax.data import workers

_READ_AHEAD = 16  # Examples read before they are asked for.


class ExampleRecord(Protocol):
  """An entry of a labelled data set, which is read into an example on demand.

  A record can be pickled.

  Attributes:
    name: name that no other record of the data set has.
    files: paths of the files that the example is read from; none if it is
      generated.
  """

  name: str
  files: Sequence[str]

  def read(self, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """Returns the example.

    Args:
      rng: source of randomness for augmentation; with None the example is not
        augmented, and is the same at every call.

    Raises:
      ValueError: a file is broken (such as `reader.BrokenVideo`).
    """


def read_all(
    records: Sequence[ExampleRecord], start: int, num_workers: int
) -> Iterator[tuple[int, dict[str, np.ndarray] | None]]:
  """Yields the number and the example of each record, in their order.

  Instead of an example that is broken it yields None, and logs the reason.

  Args:
    records: records of a data set.
    start: number of the first record to read.
    num_workers: number of processes that read; with 0 a thread reads. Processes
      need parsed absl flags and a guarded `__main__`.
  """
  # Grain reads ahead, in a thread or in processes, and keeps the order.
  numbers = grain.MapDataset.range(start, len(records))
  rows = numbers.map(_Reader(records)).to_iter_dataset(
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


class _Reader:
  """Reads the example of a record, or the reason why it cannot be read."""

  def __init__(self, records: Sequence[ExampleRecord]):
    self._records = records

  def __setstate__(self, state: dict[str, Any]):
    self.__dict__ = state
    # Only a worker process unpickles a reader.
    workers.live_with_parent()

  def __call__(self, number: int) -> dict[str, Any]:
    try:
      return {'number': number, 'example': self._records[number].read(None)}
    except ValueError as error:
      return {'number': number, 'reason': str(error)}


def read_for_batch(
    records: Sequence[ExampleRecord],
    is_augmented: bool,
    number: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
  """Reads one example, as `skipping.SkipBroken` takes it.

  Args:
    records: records of a data set.
    is_augmented: whether the example is augmented.
    number: number of the record to read.
    rng: source of randomness for augmentation.

  Returns:
    The arrays of the example, and 'clip', int64 [1], the number of the record.

  Raises:
    skipping.BrokenRecord: the record cannot be read.
  """
  record = records[number]
  try:
    example = record.read(rng if is_augmented else None)
  except ValueError as error:
    raise skipping.BrokenRecord(record.name, str(error)) from error
  arrays = {key: np.asarray(x) for key, x in example.items()}
  return arrays | {'clip': np.array([number])}
