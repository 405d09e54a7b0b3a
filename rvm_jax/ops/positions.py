"""Tables of positions."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np

# The encoder's table always starts on this grid, the one RVM was trained on.
NATIVE_GRID = (16, 16)


@functools.lru_cache(maxsize=32)
def sinusoid(num_positions: int, width: int) -> np.ndarray:
  """The 1-D sinusoid of "Attention is all you need", float32.

  Computed in float64: angle(n, j) = n / 10000^(2 floor(j / 2) / width), sine
  at even j, cosine at odd j.

  Returns:
    float32 [num_positions, width].
  """
  j = np.arange(width)
  angles = np.arange(num_positions)[:, None] / np.power(
      10000.0, 2 * (j // 2) / width
  )
  return np.where(j % 2, np.cos(angles), np.sin(angles)).astype(np.float32)


def encoder_table(rows: int, columns: int, width: int) -> jax.Array:
  """The encoder's positions for a grid: float32 [rows * columns, width].

  The sinusoid over the 256 raster indices of the native 16 x 16 grid, resized
  (bicubic, antialiased) to any other grid. Computed while tracing: a constant
  of the compiled program, unless rows or columns are symbols of `jax.export`.
  """
  table = sinusoid(NATIVE_GRID[0] * NATIVE_GRID[1], width)
  if (rows, columns) == NATIVE_GRID:
    return jnp.asarray(table)
  is_known = isinstance(rows, int) and isinstance(columns, int)
  with jax.ensure_compile_time_eval() if is_known else contextlib.nullcontext():
    resized = jax.image.resize(
        table.reshape(*NATIVE_GRID, width), (rows, columns, width), 'bicubic'
    )
    return resized.reshape(rows * columns, width)
