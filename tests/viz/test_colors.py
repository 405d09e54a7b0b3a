"""Tests colours of categories and amounts."""

import numpy as np

from rvm_jax.viz import colors


def test_kinds_are_different_colours():
  assert len(np.unique(colors.KINDS, axis=0)) == len(colors.KINDS)


def test_paint_amounts_is_brighter_for_larger_amounts_up_to_full():
  shown = colors.paint_amounts(np.linspace(0, 2, 50), full=1.0)
  brightness = shown @ np.array([0.2126, 0.7152, 0.0722])
  assert (np.diff(brightness[:26]) > 0).all()
  assert brightness[0] < 1
  np.testing.assert_array_equal(shown[25:], shown[-1:].repeat(25, 0))


def test_to_bytes_rounds_and_clips():
  pixels = np.array([[-0.5, 0, 0.499 / 255], [0.501 / 255, 1, 7]])
  found = colors.to_bytes(pixels)
  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found, [[0, 0, 0], [1, 255, 255]])
  levels = np.arange(256, dtype=np.uint8)
  np.testing.assert_array_equal(colors.to_bytes(levels / 255), levels)
