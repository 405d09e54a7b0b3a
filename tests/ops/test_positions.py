"""Position embeddings against their formulas and `jax.image.resize`."""

import functools
import math

import jax
import numpy as np
import pytest

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


@pytest.mark.parametrize(
    'rows, columns',
    [(4, 6), (1, 1), (16, 17), (15, 16), (14, 14), (30, 55), (32, 8), (64, 3)],
)
def test_encoder_table_of_other_grids_is_resized(rows, columns):
  native = positions.sinusoid(256, 8).reshape(16, 16, 8)
  resize = functools.partial(
      jax.image.resize, shape=(rows, columns, 8), method='bicubic'
  )
  table = positions.encoder_table(rows, columns, 8)
  assert table.dtype == np.float32
  with jax.enable_x64():
    expected = resize(native.astype(np.float64)).reshape(rows * columns, 8)
    np.testing.assert_allclose(table, expected, rtol=0, atol=1e-7)
  # In float32 the positions to sample at, up to 16, are rounded to 1e-6.
  expected = resize(native).reshape(rows * columns, 8)
  np.testing.assert_allclose(table, expected, rtol=0, atol=5e-6)
  jitted = jax.jit(lambda: positions.encoder_table(rows, columns, 8))
  np.testing.assert_array_equal(jitted(), table)


def test_encoder_table_takes_symbolic_dimensions():
  rows, columns = jax.export.symbolic_shape('h, w')
  exported = jax.export.export(
      jax.jit(lambda x: positions.encoder_table(*x.shape, 8))
  )(jax.ShapeDtypeStruct((rows, columns), np.float32))
  np.testing.assert_allclose(
      exported.call(np.zeros((5, 20), np.float32)),
      positions.encoder_table(5, 20, 8),
      rtol=0,
      atol=5e-6,
  )


def test_encoder_table_is_computed_on_the_host_and_once(monkeypatch):
  # A program may be traced for devices that are not on this machine.
  monkeypatch.delattr(jax.image, 'resize')
  shape = jax.eval_shape(lambda: positions.encoder_table(30, 55, 8))
  assert shape.shape == (30 * 55, 8)
  monkeypatch.delattr(positions, '_resize_weights')
  assert positions.encoder_table(30, 55, 8).shape == shape.shape


def test_clip_table_of_the_native_grid_is_the_sinusoid_of_all_tubelets():
  table = positions.clip_table(3, 4, (2, 3, 4), 8)
  np.testing.assert_array_equal(table.reshape(24, 8), positions.sinusoid(24, 8))


def test_clip_table_of_another_grid_is_resized_step_by_step():
  native = positions.sinusoid(24, 8).reshape(2, 3, 4, 8)
  expected = jax.image.resize(native, (2, 6, 5, 8), 'bicubic')
  np.testing.assert_allclose(
      positions.clip_table(6, 5, (2, 3, 4), 8),
      expected.reshape(2, 30, 8),
      atol=1e-5,
  )


def test_sincos_has_channels_for_each_axis():
  table = positions.sincos((2, 3, 4), (2, 3, 4), 16).reshape(2, 3, 4, 16)
  # Each axis has 2 * ceil(16 / 6) = 6 channels, of which the last has 4 left.
  for t in range(2):
    for y in range(3):
      for x in range(4):
        parts = []
        for place in (t, y, x):
          angles = [place / 10000 ** (j / 3) for j in range(3)]
          parts += [math.sin(angle) for angle in angles]
          parts += [math.cos(angle) for angle in angles]
        np.testing.assert_allclose(table[t, y, x], parts[:16], atol=1e-6)


def test_sincos_of_another_grid_covers_the_same_range():
  native = positions.sincos((4,), (4,), 8)
  fine = positions.sincos((12,), (4,), 8)
  np.testing.assert_allclose(fine[1::3], native, atol=1e-6)
