"""Fixed position embeddings."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np

# Rows and columns of patches in the frames that RVM was trained on. The
# encoder's table is computed for this grid and resized to any other.
NATIVE_GRID = (16, 16)


@functools.lru_cache(maxsize=32)
def sinusoid(num_positions: int, width: int) -> np.ndarray:
  """Returns the sinusoidal position embeddings of arXiv 1706.03762.

  The paper is "Attention is all you need". Entry (n, j) is the sine (j even) or
  the cosine (j odd) of the angle n / 10000^(2 floor(j / 2) / width), computed
  in float64.

  Args:
    num_positions: number of positions n.
    width: number of channels j.

  Returns:
    The embeddings, float32 [num_positions, width].
  """
  j = np.arange(width)
  angles = np.arange(num_positions)[:, None] / np.power(
      10000.0, 2 * (j // 2) / width
  )
  return np.where(j % 2, np.cos(angles), np.sin(angles)).astype(np.float32)


def encoder_table(rows: int, columns: int, width: int) -> jax.Array:
  """Returns the encoder's position embeddings of a grid of patches.

  For the native grid of 16 x 16 patches they are the sinusoidal embeddings of
  the raster indices 0 to 255. For another grid they are resized from the native
  one, with a bicubic, antialiased filter.

  Args:
    rows: number of rows of patches, an int or a symbolic dimension of
      `jax.export`.
    columns: number of columns of patches, an int or a symbolic dimension.
    width: number of channels of a token.

  Returns:
    The embeddings in raster order, float32 [rows * columns, width].
  """
  table = sinusoid(NATIVE_GRID[0] * NATIVE_GRID[1], width)
  if (rows, columns) == NATIVE_GRID:
    return jnp.asarray(table)
  # If the sizes are known, the table is computed while the program is traced,
  # and becomes a constant in it.
  is_known = isinstance(rows, int) and isinstance(columns, int)
  with jax.ensure_compile_time_eval() if is_known else contextlib.nullcontext():
    resized = jax.image.resize(
        table.reshape(*NATIVE_GRID, width), (rows, columns, width), 'bicubic'
    )
    return resized.reshape(rows * columns, width)
