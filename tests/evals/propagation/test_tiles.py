"""Tests that tiles cover a grid once and that windows hold all near queries."""

import numpy as np
import pytest

from rvm_jax.evals.propagation import tiles


@pytest.mark.parametrize('height, width', [(1, 1), (16, 8), (18, 10), (33, 7)])
def test_tiles_cover_each_patch_once_and_are_of_bounded_size(height, width):
  count = np.zeros((height, width), int)
  for tile in tiles.make_tiles(height, width, radius=3.0):
    part = count[tile.rows, tile.columns]
    assert part.shape[0] <= 16 and part.shape[1] <= 8
    part += 1
  np.testing.assert_array_equal(count, 1)


@pytest.mark.parametrize('radius', [0.0, 1.0, 2.5, 4.0, 50.0])
def test_windows_are_the_smallest_that_hold_all_queries_in_the_radius(radius):
  rows, columns = np.mgrid[:18, :10]
  for tile in tiles.make_tiles(18, 10, radius):
    within = np.zeros((18, 10), bool)
    for row in rows[tile.rows, 0]:
      for column in columns[0, tile.columns]:
        within |= np.hypot(rows - row, columns - column) < radius
    # At radius 0 no query is near enough, but windows must not be empty.
    within[tile.rows, tile.columns] = True
    window = tile.query_rows, tile.query_columns
    assert within.sum() == within[window].sum()
    assert within[window].any(0).all() and within[window].any(1).all()
