import math

import jax
import numpy as np

from rvm_jax.ops import positions


def test_sinusoid_follows_its_formula():
  table = positions.sinusoid(7, 6)
  assert table.dtype == np.float32
  for n in range(7):
    for j in range(6):
      angle = n / 10000 ** (2 * (j // 2) / 6)
      wave = math.cos if j % 2 else math.sin
      assert table[n, j] == np.float32(wave(angle))


def test_encoder_table_of_the_native_grid_is_the_sinusoid():
  np.testing.assert_array_equal(
      positions.encoder_table(16, 16, 8), positions.sinusoid(256, 8)
  )


def test_encoder_table_of_other_grids_is_resized_also_under_jit():
  table = positions.encoder_table(4, 6, 8)
  assert table.shape == (24, 8)
  expected = jax.image.resize(
      positions.sinusoid(256, 8).reshape(16, 16, 8), (4, 6, 8), 'bicubic'
  ).reshape(24, 8)
  np.testing.assert_allclose(table, expected, rtol=0, atol=1e-6)
  jitted = jax.jit(lambda: positions.encoder_table(4, 6, 8))
  np.testing.assert_array_equal(jitted(), table)
