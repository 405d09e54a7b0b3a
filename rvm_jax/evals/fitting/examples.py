"""Examples that a head is fitted to and scored on, and how they are read.

An example is a short video with its ground truth, a dict of arrays. All
examples of a data set have arrays of the same names, dtypes and shapes. One of
them is

  frames: uint8 [T, H, W, 3], RGB, at the size that the encoder gets.

The other arrays are the ground truth of the task, one or more of those below,
for P points or O objects. Coordinates are in pixels of `frames`. Points and
objects to be tracked are given to the head by their position in frame 0.

  label: int32 [], the number of the class.
  tracks: float32 [P, T, 2], points (x, y) in each frame.
  visible: bool [P, T], whether the point can be seen in the frame.
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

# Number of examples that are read before they are asked for.
_READ_AHEAD = 16


class ExampleRecord(Protocol):
  """An entry of a labelled data set, from which an example can be read.

  Records must be picklable, because worker processes read examples.

  Attributes:
    name: name of the record, unique in the data set.
    files: paths of the files that the example is read from; empty if the
      example is generated.
  """

  name: str
  files: Sequence[str]

  def read(self, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """Reads the example.

    Args:
      rng: random generator for augmentation. None reads the example without
        augmentation, the same at every call.

    Raises:
      ValueError: a file is broken (such as `reader.BrokenVideo`).
    """


def read_all(
    records: Sequence[ExampleRecord], start: int, num_workers: int
) -> Iterator[tuple[int, dict[str, np.ndarray] | None]]:
  """Yields the number and the example of each record, in order.

  If an example cannot be read, it yields None in its place and logs why.
  Examples are not augmented.

  Args:
    records: records of a data set.
    start: number of the first record to read. The numbers of records are their
      indices in `records`.
    num_workers: number of processes that read examples; 0 reads in a thread.
      If processes are used, absl flags must have been parsed, and the main
      module must be guarded by `if __name__ == '__main__'`.
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
  """Reads examples by the numbers of their records.

  It returns a dict with 'number' and either 'example' or, if the example cannot
  be read, 'reason', the text of the error.
  """

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
  """Reads one example for a training batch.

  With its first two arguments bound, this is a function for
  `skipping.SkipBroken`.

  Args:
    records: records of a data set.
    is_augmented: whether the example is augmented.
    number: number of the record to read.
    rng: random generator for augmentation.

  Returns:
    The arrays of the example, and the number of the record, int64 [1], under
    'clip', the name that the training loop expects.

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
