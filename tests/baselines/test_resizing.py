"""Resizing of tables against sums over taps that are written out."""

import jax
import numpy as np
import pytest

from rvm_jax.baselines import resizing


def keys_cubic(x):
  """Returns the weight of an entry at a distance x, for a = -0.75."""
  x, a = abs(x), -0.75
  if x < 1:
    return (a + 2) * x**3 - (a + 3) * x**2 + 1
  return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0


def resize_by_hand(row, positions, filter_, reach):
  """Returns a row at positions; entries beyond the border repeat."""
  resized = []
  for position in positions:
    first = int(np.floor(position))
    taps = range(first - reach + 1, first + reach + 1)
    resized.append(
        sum(
            filter_(position - tap) * row[min(max(tap, 0), len(row) - 1)]
            for tap in taps
        )
    )
  return np.stack(resized)


@pytest.fixture
def table():
  with jax.enable_x64():
    yield np.random.default_rng(0).normal(size=(7, 5, 3))


@pytest.mark.parametrize('height, width', [(7, 5), (16, 3), (2, 11), (1, 1)])
@pytest.mark.parametrize('offset', [0, 0.1])
def test_resize_bicubic_takes_four_taps_and_repeats_the_border(
    table, height, width, offset
):
  scales = (height + offset) / 7, (width + offset) / 5
  rows, columns = (
      (np.arange(new) + 0.5) / scale - 0.5
      for new, scale in zip((height, width), scales, strict=True)
  )
  expected = resize_by_hand(table, rows, keys_cubic, 2)
  expected = resize_by_hand(expected.swapaxes(0, 1), columns, keys_cubic, 2)
  resized = resizing.resize_bicubic(
      table, height, width, scales if offset else None
  )
  np.testing.assert_allclose(resized, expected.swapaxes(0, 1), atol=1e-13)


@pytest.mark.parametrize('sizes', [(7, 5), (16, 3), (2,), (1, 1)])
def test_resize_linear_mixes_neighbours_and_repeats_the_border(table, sizes):
  expected = table
  for axis, new in enumerate(sizes):
    positions = (np.arange(new) + 0.5) * table.shape[axis] / new - 0.5
    expected = resize_by_hand(
        expected.swapaxes(0, axis), positions, lambda x: 1 - abs(x), 1
    ).swapaxes(0, axis)
  np.testing.assert_allclose(
      resizing.resize_linear(table, sizes), expected, atol=1e-13
  )


def test_resizing_to_the_old_size_changes_no_bit(table):
  table = table.astype(np.float32)
  np.testing.assert_array_equal(resizing.resize_bicubic(table, 7, 5), table)
  np.testing.assert_array_equal(resizing.resize_linear(table, (7, 5)), table)


def test_resizing_works_on_traced_arrays_and_keeps_their_dtype(table):
  table = table.astype(np.float32)
  resized = jax.jit(resizing.resize_bicubic, static_argnums=(1, 2))(table, 9, 4)
  assert resized.dtype == np.float32
  np.testing.assert_allclose(
      resized, resizing.resize_bicubic(table, 9, 4), atol=1e-6
  )
  linear = jax.jit(resizing.resize_linear, static_argnums=1)
  assert linear(table, (9, 4)).dtype == np.float32
