"""Pixel values are converted to floats in [0, 1]."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import images

LEVELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)


def test_to_float_rounds_each_level_divided_by_255_to_float32():
  expected = np.float32(np.arange(256) / 255).reshape(1, 16, 16)
  found = images.to_float(LEVELS)
  assert isinstance(found, np.ndarray) and found.dtype == np.float32
  np.testing.assert_array_equal(found, expected)


def test_to_float_under_jit_equals_numpy_but_for_the_last_bit():
  found = jax.jit(images.to_float)(LEVELS)
  assert isinstance(found, jax.Array) and found.dtype == np.float32
  # XLA may multiply by the reciprocal of 255.
  np.testing.assert_array_max_ulp(
      np.asarray(found), images.to_float(LEVELS), maxulp=1
  )


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16, np.float64])
def test_to_float_returns_floats_unchanged(dtype):
  frames = np.full((2, 2, 3), 0.5, dtype)
  assert images.to_float(frames) is frames
