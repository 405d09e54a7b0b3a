"""Fixed position embeddings."""

import functools
import math

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
  one, with the bicubic, antialiased filter of `jax.image.resize`.

  Args:
    rows: number of rows of patches, an int or a symbolic dimension of
      `jax.export`.
    columns: number of columns of patches, an int or a symbolic dimension.
    width: number of channels of a token.

  Returns:
    The embeddings in raster order, float32 [rows * columns, width].
  """
  if isinstance(rows, int) and isinstance(columns, int):
    # The table is a constant of the traced program. It is computed on the host,
    # because a program can also be traced for devices that this machine lacks.
    return jnp.asarray(_table(rows, columns, width))
  native = sinusoid(NATIVE_GRID[0] * NATIVE_GRID[1], width)
  resized = jax.image.resize(
      native.reshape(*NATIVE_GRID, width), (rows, columns, width), 'bicubic'
  )
  return resized.reshape(rows * columns, width)


@functools.lru_cache(maxsize=8)
def _table(rows: int, columns: int, width: int) -> np.ndarray:
  """Computes `encoder_table` on the host, float32 [rows * columns, width]."""
  native = sinusoid(NATIVE_GRID[0] * NATIVE_GRID[1], width)
  return _resize(native.reshape(*NATIVE_GRID, width), rows, columns)


@functools.lru_cache(maxsize=8)
def clip_table(
    rows: int, columns: int, native: tuple[int, int, int], width: int
) -> np.ndarray:
  """Returns VideoMAE's position embeddings of the tubelets of a clip.

  For the native grid they are the sinusoidal embeddings of the raster indices
  over steps, rows and columns. For another number of rows or columns, the
  embeddings of each step are resized as in `encoder_table`.

  Args:
    rows: number of rows of patches.
    columns: number of columns of patches.
    native: steps, rows and columns that the model is trained on.
    width: number of channels of a token.

  Returns:
    The embeddings, float32 [steps, rows * columns, width].
  """
  table = sinusoid(math.prod(native), width).reshape(*native, width)
  return np.stack([_resize(step, rows, columns) for step in table])


@functools.lru_cache(maxsize=8)
def sincos(
    shape: tuple[int, ...], native: tuple[int, ...], width: int
) -> np.ndarray:
  """Returns sine-cosine embeddings of the positions in a grid of any rank.

  With three axes (steps, rows, columns) they are those of V-JEPA (arXiv
  2404.08471). The channels of the first axis come first, then those of the
  second, and so on. With A axes, each has 2 n channels, where n is
  ceil(width / 2A); channels beyond `width` are cut off. The channels of an axis
  are the sines and then the cosines of the coordinate divided by 10000^(j / n),
  for j from 0 to n - 1.

  Args:
    shape: size of each axis of the grid.
    native: size of each axis of the grid that the model is trained on.
      Coordinates of another grid are scaled to the range of this one.
    width: number of channels of a token.

  Returns:
    The embeddings in raster order, float32 [prod(shape), width].
  """
  half = math.ceil(width / (2 * len(shape)))
  frequencies = 10000.0 ** -(np.arange(half) / half)
  parts = []
  for axis, (size, native_size) in enumerate(zip(shape, native, strict=True)):
    # Centres of the cells, in cells of the native grid.
    centres = (np.arange(size) + 0.5) * native_size / size - 0.5
    angles = centres[:, None] * frequencies
    part = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    part = part.reshape(
        [-1 if a == axis else 1 for a in range(len(shape))] + [2 * half]
    )
    parts.append(np.broadcast_to(part, (*shape, 2 * half)))
  table = np.concatenate(parts, -1)[..., :width]
  return table.reshape(-1, width).astype(np.float32)


def _resize(native: np.ndarray, rows: int, columns: int) -> np.ndarray:
  """Resizes a table [h, w, D] to [rows * columns, D], float32."""
  height, width, channels = native.shape
  if (rows, columns) == (height, width):
    return native.reshape(-1, channels)
  # Resize the columns and then the rows, [h, w, D] to [rows, columns, D].
  across = _resize_weights(width, columns) @ native.astype(np.float64)
  both = np.tensordot(_resize_weights(height, rows), across, axes=1)
  return both.reshape(rows * columns, channels).astype(np.float32)


def _resize_weights(size: int, new_size: int) -> np.ndarray:
  """Returns the matrix that resizes one axis, with a bicubic filter.

  The filter is that of R. Keys, "Cubic convolution interpolation for digital
  image processing", 1981, with a = -0.5. To make an axis smaller, the filter is
  widened by the same factor, which prevents aliasing.

  Args:
    size: number of entries of the axis.
    new_size: number of entries after it is resized.

  Returns:
    The weight of each entry for each new one, float64 [new_size, size]. Each
    row has the sum 1, also at the ends, where a part of the filter has no
    entries.
  """
  step = size / new_size
  # Where the centre of each new entry lies, counted in entries.
  centres = (np.arange(new_size) + 0.5) * step - 0.5
  x = np.abs(centres[:, None] - np.arange(size)) / max(step, 1)
  near = (1.5 * x - 2.5) * x**2 + 1
  far = ((-0.5 * x + 2.5) * x - 4) * x + 2
  weights = np.where(x < 1, near, np.where(x < 2, far, 0))
  return weights / weights.sum(axis=1, keepdims=True)
