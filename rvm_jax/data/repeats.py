"""Repeated sampling: several samples of each record, which is read once.

An element of the stream holds R samples of one record: arrays by name, whose
first axis is R. The R samples are neighbours in one batch, as in batch
augmentation (arXiv 1901.09335). So the worker that makes a batch reads each
record once, and the order of samples depends neither on the number of workers
nor on the size of the batches. That samples of one video are neighbours does
not matter, because the order within a batch does not change the gradient.
"""

from collections.abc import Sequence
import functools

import numpy as np

from rvm_jax.data import batches
from rvm_jax.data import sampler as sampler_lib
from rvm_jax.data import skipping


class Reader:
  """Turns the number of a record and a random generator into R samples."""

  def __init__(
      self, sampler: sampler_lib.Sampler, num_records: int, repeats: int
  ):
    """Creates a reader for one source.

    Args:
      sampler: cuts samples from the records of a source.
      num_records: number of records of the source.
      repeats: number of samples R to cut from a record.
    """
    self._repeats = repeats
    self._read = skipping.SkipBroken(
        functools.partial(sampler.cut, repeats=repeats), num_records, 'clip'
    )

  def __call__(
      self, number: int, rng: np.random.Generator
  ) -> dict[str, np.ndarray]:
    """Returns R samples of a record, or of one that replaces a broken record.

    Args:
      number: number of the record to try first.
      rng: random generator.

    Returns:
      The arrays of `Sampler.cut`, and 'skipped', int32 [R], the number of
      broken records that were tried before. It is equal in all R samples.

    Raises:
      RuntimeError: ten records in a row could not be read.
    """
    samples = self._read(number, rng)
    return samples | {'skipped': np.full(self._repeats, samples['skipped'])}


class Batches(batches.Batches):
  """An iterator over batches of samples; its position counts records."""

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns this shard's samples of the next batch.

    The `pipeline` module lists the arrays. Their first axis has the B samples
    of this shard.
    """
    # [B / R, R, ...] -> [B, ...]
    return {
        key: x.reshape(-1, *x.shape[2:])
        for key, x in super().__next__().items()
    }


def join(
    elements: Sequence[dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """Returns the samples of several elements as one batch.

  Args:
    elements: elements of the stream, one or more, arrays [R, ...] by name.
  """
  return {
      key: np.concatenate([element[key] for element in elements])
      for key in elements[0]
  }
