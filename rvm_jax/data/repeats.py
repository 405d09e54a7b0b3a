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
from typing import Any

import numpy as np

from rvm_jax.data import batches
from rvm_jax.data import blocks
from rvm_jax.data import read_ahead
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

  def __init__(
      self,
      iterator: Any,
      samples: blocks.Blocks,
      lengths: list[int],
      ahead: read_ahead.ReadAhead,
  ):
    """Wraps an iterator.

    Args:
      iterator: grain iterator over parts of batches.
      samples: dataset of records' samples, as for `batches.Batches`.
      lengths: number of records of each source.
      ahead: how `iterator` reads ahead.
    """
    super().__init__(iterator, samples, lengths, ahead.num_workers)
    self._num_parts = ahead.num_parts

  def __next__(self) -> dict[str, np.ndarray]:
    """Returns this shard's samples of the next batch.

    The `pipeline` module lists the arrays. Their first axis has the B samples
    of this shard.
    """
    parts = []
    for _ in range(self._num_parts):
      part = super().__next__()
      # For the n records of this part: [n, R, ...] -> [n * R, ...]
      parts.append(
          {key: x.reshape(-1, *x.shape[2:]) for key, x in part.items()}
      )
    return parts[0] if len(parts) == 1 else join(parts)


def join(
    elements: Sequence[dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
  """Returns samples that are in several pieces as one batch.

  Args:
    elements: the pieces, one or more, arrays [n, ...] by name, with n samples
      that may differ between pieces.
  """
  return {
      key: np.concatenate([element[key] for element in elements])
      for key in elements[0]
  }
