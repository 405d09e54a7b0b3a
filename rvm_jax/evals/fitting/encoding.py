"""Encodes the examples of records, batch by batch.

Axes: n examples of a batch, T frames, N patches of a frame, C channels of a
patch's features.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import examples as examples_lib

# Number of examples that are encoded at once.
BATCH = 16


def encode(
    model: encoder_lib.FrozenEncoder,
    records: Sequence[examples_lib.ExampleRecord],
    start: int,
    bad: set[int],
    *,
    num_workers: int,
    max_bad_share: float,
) -> Iterator[dict[str, np.ndarray]]:
  """Yields batches of at most `BATCH` encoded examples.

  Args:
    model: the frozen encoder.
    records: records of the examples.
    start: number of the first record to read.
    bad: numbers of the records known to be broken. The numbers of further
      broken records are added to this set.
    num_workers: number of processes that read examples; 0 reads in a thread.
    max_bad_share: largest share of the records that may be broken, in [0, 1].

  Yields:
    Arrays by name: 'features', float32 [n, T, N, C]; 'number', int32 [n], the
    numbers of the records; and the ground truth, each with a leading axis n.

  Raises:
    ValueError: examples differ in shape.
    RuntimeError: too many records are broken.
  """
  # `first` is the name and description of the first example; `numbers` and
  # `read` collect the next batch.
  size = min(BATCH, len(records))
  first, numbers, read = None, [], []
  for number, example in examples_lib.read_all(records, start, num_workers):
    if example is None:
      bad.add(number)
      names = [records[number].name for number in sorted(bad)]
      check_bad(names, len(records), max_bad_share)
    else:
      # All examples must have arrays of the same names, dtypes and shapes.
      example = {key: np.asarray(x) for key, x in example.items()}
      first = first or (records[number].name, _describe(example))
      if first[1] != _describe(example):
        raise ValueError(
            f'examples must be alike: {first[0]} has {first[1]},'
            f' {records[number].name} has {_describe(example)}'
        )
      numbers.append(number)
      read.append(example)
    # Encode the batch when it is full, or when no record is left.
    if read and (len(read) == size or number == len(records) - 1):
      batch = {key: np.stack([x[key] for x in read]) for key in read[0]}
      features = encode_frames(model, batch.pop('frames'), size)
      yield {'features': features, 'number': np.int32(numbers)} | batch
      numbers, read = [], []


def encode_frames(
    model: encoder_lib.FrozenEncoder, frames: np.ndarray, size: int
) -> np.ndarray:
  """Encodes the frames of a batch.

  Args:
    model: the frozen encoder.
    frames: uint8 [n, T, H, W, 3], with n at most `size`.
    size: number of examples to encode. A smaller batch is padded with copies of
      its last example, so that all batches use one compiled program.

  Returns:
    float32 [n, T, N, C], the features of all patches.
  """
  fill = size - len(frames)
  filled = np.concatenate([frames, np.repeat(frames[-1:], fill, 0)])
  patches = model.encode(filled).patches[: len(frames)]  # [n, T, h, w, C]
  return patches.reshape(*patches.shape[:2], -1, patches.shape[-1])


def check_bad(names: Sequence[str], num_records: int, max_bad_share: float):
  """Raises RuntimeError if too large a share of the records is broken.

  Args:
    names: names of the broken records.
    num_records: number of all records.
    max_bad_share: largest share of the records that may be broken, in [0, 1].
  """
  if len(names) > max_bad_share * num_records:
    raise RuntimeError(
        f'{len(names)} of {num_records} examples could not be read, more than'
        f' features.max_bad_share={max_bad_share}: {", ".join(names[:5])}'
        f'{", ..." * (len(names) > 5)}; the log says why'
    )


def _describe(example):
  """Returns the dtype and shape of each array as text, by the array's name."""
  return {k: f'{x.dtype}{list(x.shape)}' for k, x in sorted(example.items())}
