"""Repeated sampling: several samples of each record, which is read once.

An element of a stream is a record: R samples of it, along the first axis. They
are neighbours in one batch, as in batch augmentation (arXiv 1901.09335). So the
worker that makes a batch reads all that it needs once, and the order of samples
depends neither on the number of workers nor on the size of the batches. The
order within a batch changes no gradient.
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
    """Takes what cuts the samples.

    Args:
      sampler: cuts samples from the records of a source.
      num_records: number of records of the source.
      repeats: number of samples R of a record.
    """
    self._repeats = repeats
    self._read = skipping.SkipBroken(
        functools.partial(sampler.cut, repeats=repeats), num_records, 'clip'
    )

  def __call__(
      self, number: int, rng: np.random.Generator
  ) -> dict[str, np.ndarray]:
    """Returns samples as `Sampler.cut` does, or of a record that replaces it.

    To them comes 'skipped', int32 [R]: all samples of a record replace the same
    broken ones.
    """
    samples = self._read(number, rng)
    return samples | {'skipped': np.full(self._repeats, samples['skipped'])}


class Batches(batches.Batches):
  """An iterator over batches of samples; its position counts records."""

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns this shard's samples of the next batch; see `pipeline`."""
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
    elements: elements of a stream, one or more.
  """
  return {
      key: np.concatenate([element[key] for element in elements])
      for key in elements[0]
  }
