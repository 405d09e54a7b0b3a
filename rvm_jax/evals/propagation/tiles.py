"""Tiles: rectangles of a patch grid, each with the queries near enough to it.

`context` explains what tiles and queries are for.
"""

from typing import NamedTuple

import numpy as np

# Largest number of rows and of columns of patches in a tile.
_LARGEST = (16, 8)


class Tile(NamedTuple):
  """A rectangle of the patch grid, given by slices of its rows and columns.

  Attributes:
    rows: rows of the tile.
    columns: columns of the tile.
    query_rows: rows of the tile's window, the smallest rectangle that contains
      all queries within the radius of any patch of the tile.
    query_columns: columns of the tile's window.
  """

  rows: slice
  columns: slice
  query_rows: slice
  query_columns: slice


def make_tiles(height: int, width: int, radius: float) -> list[Tile]:
  """Cuts a patch grid into tiles of at most 16 x 8 patches.

  Args:
    height: number of rows of the grid.
    width: number of columns of the grid.
    radius: radius of the search, in patches.

  Returns:
    The tiles in raster order.
  """
  # On each side, a window exceeds its tile by the largest integer below the
  # radius. At radius 0 no query is near enough, but a window must not be empty.
  reach = max(0, int(np.ceil(radius)) - 1)
  return [
      Tile(
          rows,
          columns,
          _widen(rows, reach, height),
          _widen(columns, reach, width),
      )
      for rows in _split(height, _LARGEST[0])
      for columns in _split(width, _LARGEST[1])
  ]


def _split(size, largest):
  """Splits range(size) into nearly equal slices, none longer than `largest`."""
  edges = np.linspace(0, size, -(-size // largest) + 1).astype(int).tolist()
  return [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]


def _widen(part, reach, size):
  """Extends a slice by `reach` on both sides, at most to 0 and `size`."""
  return slice(max(0, part.start - reach), min(size, part.stop + reach))
