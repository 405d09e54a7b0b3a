"""The types of arrays in compiled programs.

HLO writes such a type as bf16[8,257,384]{2,1,0:T(8,128)(2,1)S(1)}. After the
dtype and the shape, the braces hold

  - 2,1,0: the axes from the fastest to the slowest in memory;
  - T(8,128): the size of a tile on TPUs. The fastest axes are padded to
    multiples of it, here the last axis to 384 and the one before to 264. The
    tile inside of the tile, (2,1), does not change the size;
  - S(1): the memory, which is that inside of the chip (VMEM). Without S the
    array is in the device's main memory (HBM).
"""

from collections.abc import Sequence
import math
import re
from typing import NamedTuple

# The name of a dtype: its kind, its bits and, for small floats, their meaning.
_DTYPE = re.compile(r'(s|u|f|bf|c)(\d+)(e\d+m\d+\w*)?')
_KINDS = {'s': 'int', 'u': 'uint', 'f': 'float', 'bf': 'bfloat', 'c': 'complex'}
# Bits of an element of the other dtypes. A token holds no data.
_OTHERS = {'pred': 8, 'token': 0}
# The type of an array, with the groups dtype, shape, order of the axes, and
# tiles and memory.
_ARRAY = re.compile(r'\b([a-z]\w*)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?')


class Array(NamedTuple):
  """The type of an array.

  Attributes:
    dtype: dtype as HLO names it, such as 'bf16'.
    shape: sizes of the axes.
    order: axes from the fastest to the slowest in memory; () if unknown.
    tile: sizes to whose multiples the fastest axes are padded, the fastest
      last; () for no padding.
    space: number of the memory that holds the array, 0 for the HBM.
  """

  dtype: str
  shape: tuple[int, ...]
  order: tuple[int, ...]
  tile: tuple[int, ...]
  space: int

  @property
  def jax_dtype(self) -> str:
    """The dtype as JAX names it, such as 'bfloat16'.

    Raises:
      ValueError: the array is a token, for which JAX has no dtype.
    """
    if self.dtype == 'pred':
      return 'bool'
    kind, bits, meaning = _match(self.dtype).groups()
    return f'{_KINDS[kind]}{bits}' + (f'_{meaning}' if meaning else '')

  @property
  def num_elements(self) -> int:
    """Number of elements, without padding; 0 for a token."""
    return math.prod(self.shape) if _count_bits(self.dtype) else 0

  @property
  def dense_bytes(self) -> int:
    """Size in bytes without padding."""
    return self.num_elements * _count_bits(self.dtype) // 8

  @property
  def num_bytes(self) -> int:
    """Size in memory in bytes, with padding."""
    padded = list(self.shape)
    for axis, size in zip(self.order, reversed(self.tile), strict=False):
      padded[axis] = -(-padded[axis] // size) * size
    return math.prod(padded) * _count_bits(self.dtype) // 8

  @property
  def hbm_bytes(self) -> int:
    """Size in bytes if the array is in the HBM, else 0."""
    return 0 if self.space else self.num_bytes


def parse(text: str) -> tuple[Array, ...]:
  """Returns the types of all arrays in a text, in their order.

  Raises:
    ValueError: a dtype is unknown.
  """
  found = []
  for dtype, shape, order, layout in _ARRAY.findall(text):
    _count_bits(dtype)
    tile = re.match(r'T\(([\d,]+)\)', layout)
    space = re.search(r'S\((\d+)\)', layout)
    found.append(
        Array(
            dtype,
            _numbers(shape),
            _numbers(order),
            _numbers(tile.group(1)) if tile else (),
            int(space.group(1)) if space else 0,
        )
    )
  return tuple(found)


def _count_bits(dtype: str) -> int:
  """Returns the bits of an element; raises ValueError for an unknown dtype."""
  if dtype in _OTHERS:
    return _OTHERS[dtype]
  return int(_match(dtype)[2])


def _match(dtype: str) -> re.Match[str]:
  """Returns the parts of a dtype; raises ValueError for an unknown one."""
  if found := _DTYPE.fullmatch(dtype):
    return found
  raise ValueError(f'unknown dtype {dtype} in the text of a program')


def total_bytes(arrays: Sequence[Array]) -> int:
  """Returns how many bytes of some arrays are in the HBM."""
  return sum(array.hbm_bytes for array in arrays)


def _numbers(text: str) -> tuple[int, ...]:
  """Returns the numbers of a list such as '8,257,384'."""
  return tuple(int(x) for x in text.split(',') if x)
