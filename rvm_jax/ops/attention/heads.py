"""Heads whose channels lie side by side, as kernels of attention handle them.

A kernel computes a group of heads at a time. The functions and classes here
work on arrays [N, G] that the kernel has read, where N is a number of tokens
and G the number of channels of the group.
"""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

# Number of lanes of a vector register of a TPU. Channels lie along the lanes.
LANES = 128

# Dimension numbers of `lax.dot_general` for the products A B, A B^T and A^T B.
AB = (((1,), (0,)), ((), ()))
ABT = (((1,), (1,)), ((), ()))
ATB = (((0,), (0,)), ((), ()))


def dot(a, b, dimensions):
  """Multiplies matrices with float32 sums, in full precision for float32."""
  exact = a.dtype == jnp.float32
  return lax.dot_general(
      a,
      b,
      dimensions,
      precision=lax.Precision.HIGHEST if exact else lax.Precision.DEFAULT,
      preferred_element_type=jnp.float32,
  )


class Head(NamedTuple):
  """Where a head lies in its group.

  Attributes:
    number: index of the head in the group.
    rows: the head's channels in the group. They are rows of transposed arrays.
    lanes: the head's channels, and those around them that fill up whole vectors
      of lanes.
    mask: bool [1, lanes], True for the head's channels among `lanes`.
  """

  number: int
  rows: slice
  lanes: slice
  mask: jax.Array

  def pick(self, x):
    """Sets the channels of other heads to zero in x, [N, lanes]."""
    return jnp.where(self.mask, x, 0)


def split(group, head_width):
  """Returns where each head of a group lies.

  Args:
    group: G, number of channels of the group.
    head_width: C, number of channels of a head.
  """
  heads = []
  for start in range(0, group, head_width):
    stop = start + head_width
    first = start // LANES * LANES
    last = min(group, -(-stop // LANES) * LANES)
    channel = lax.broadcasted_iota(jnp.int32, (1, last - first), 1) + first
    mask = (start <= channel) & (channel < stop)
    rows, lanes = slice(start, stop), slice(first, last)
    heads.append(Head(start // head_width, rows, lanes, mask))
  return heads


class Stack:
  """The last few queries of a sequence, with a row for each head and query.

  The rows of head 0 come first, then those of head 1, and so on. The vector
  unit can only move rows that begin at multiples of 8, and those of a head may
  begin anywhere. So rows are repeated and summed by products with a matrix of
  zeros and ones.

  Attributes:
    mask: bool [heads * rest, G], True for the channels of each row's head.
    copies: [heads * rest, rest], 1 where a row belongs to a query, else 0.
  """

  def __init__(self, rest, group, head_width, dtype):
    """Makes the masks.

    Args:
      rest: number of these queries.
      group: G, number of channels of the group.
      head_width: C, number of channels of a head.
      dtype: dtype of the queries.
    """
    num_rows = group // head_width * rest
    row = lax.broadcasted_iota(jnp.int32, (num_rows, group), 0)
    channel = lax.broadcasted_iota(jnp.int32, (num_rows, group), 1)
    query = lax.broadcasted_iota(jnp.int32, (num_rows, rest), 1)
    position = lax.broadcasted_iota(jnp.int32, (num_rows, rest), 0)
    # Both masks begin as False everywhere; each head adds its rows.
    self.mask = row < 0
    copies = position < 0
    for head in range(group // head_width):
      first, start = head * rest, head * head_width
      self.mask |= (
          (first <= row)
          & (row < first + rest)
          & (start <= channel)
          & (channel < start + head_width)
      )
      copies |= position == first + query
    self.copies = copies.astype(dtype)

  def spread(self, x):
    """Repeats queries [rest, G] for each head, as rows [heads * rest, G].

    In each row the channels of all heads but its own are zero.
    """
    rows = dot(self.copies, x, AB).astype(x.dtype)
    return jnp.where(self.mask, rows, 0)

  def collect(self, rows):
    """Joins rows [heads * rest, G] to queries [rest, G].

    Each row contributes the channels of its own head.
    """
    rows = jnp.where(self.mask, rows, 0).astype(self.copies.dtype)
    return dot(self.copies, rows, ATB)


class Sum:
  """A sum of arrays [M, lanes] of different heads.

  Attributes:
    parts: parts of the sum by their first channel, each of at most 128 channels
      (one vector of lanes).
  """

  def __init__(self):
    self.parts = {}

  def add(self, lanes, x):
    """Adds x, [M, lanes], to the channels of the slice `lanes`."""
    for first in range(lanes.start, lanes.stop, LANES):
      start = first - lanes.start
      part = x[:, start : start + LANES]
      known = self.parts.get(first)
      self.parts[first] = part if known is None else known + part

  def store(self, ref):
    """Writes the sum to a reference, [1, M, G]."""
    for first, part in self.parts.items():
      ref[0, :, first : first + part.shape[1]] = part.astype(ref.dtype)
