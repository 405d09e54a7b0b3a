"""Resizes tables of position embeddings exactly as PyTorch does.

These are the modes 'bicubic', 'linear', 'bilinear' and 'trilinear' of
`torch.nn.functional.interpolate` with `align_corners=False` and without
antialiasing. No mode of `jax.image.resize` equals PyTorch's bicubic one, whose
filter has another coefficient and repeats the entries at the border.

Both functions multiply by constant matrices, so that they work under `jax.jit`
and on NumPy arrays alike.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

# PyTorch's coefficient of the cubic filter of R. Keys, "Cubic convolution
# interpolation for digital image processing", 1981.
_A = -0.75


def resize_bicubic(
    table: jax.Array | np.ndarray,
    height: int,
    width: int,
    scale_factors: tuple[float, float] | None = None,
) -> jax.Array:
  """Resizes the first two axes of a table with PyTorch's bicubic filter.

  Args:
    table: float [h, w, D].
    height: number of rows of the result.
    width: number of columns of the result.
    scale_factors: factors for rows and columns that PyTorch was given as
      `scale_factor`. They decide where the new entries lie, and differ from the
      ratio of the sizes if a size is rounded: (37 rows, factor 16.1 / 37) has
      16 rows, spaced by 37 / 16.1 old ones. None, the default, stands for the
      ratios of the sizes, PyTorch's rule for `size`.

  Returns:
    The resized table, [height, width, D], in the dtype of `table`.
  """
  sizes = (height, width)
  scales = scale_factors or [new / old for new, old in zip(sizes, table.shape)]
  return _multiply(
      table,
      [
          _bicubic_weights(old, new, scale)
          for old, new, scale in zip(table.shape, sizes, scales)
      ],
  )


def resize_linear(
    table: jax.Array | np.ndarray, sizes: Sequence[int]
) -> jax.Array:
  """Resizes the first axes of a table linearly, as PyTorch does.

  Args:
    table: float [..., D], with at least as many axes as `sizes` has entries.
    sizes: new sizes of the first axes; three of them for PyTorch's 'trilinear'.

  Returns:
    The resized table, in the dtype of `table`.
  """
  return _multiply(
      table, [_linear_weights(old, new) for old, new in zip(table.shape, sizes)]
  )


def _multiply(table, matrices):
  """Multiplies each of the first axes of a table by a matrix [new, old]."""
  for axis, matrix in enumerate(matrices):
    # The default precision of a TPU would round the table to 8 bits.
    table = jnp.tensordot(
        matrix.astype(table.dtype),
        table,
        axes=(1, axis),
        precision=jax.lax.Precision.HIGHEST,
    )
    table = jnp.moveaxis(table, 0, axis)
  return table


def _bicubic_weights(size: int, new_size: int, scale: float) -> np.ndarray:
  """Returns the weights of old entries for new ones, float64 [new, old]."""
  # Each new entry is a weighted sum of four old ones, its taps. A tap beyond
  # the border takes the entry at the border. `near` and `far` are the two
  # pieces of the filter, for distances x below 1 and from 1 to 2.
  centres = (np.arange(new_size) + 0.5) / scale - 0.5
  taps = np.floor(centres)[:, None] + np.arange(-1, 3)  # [new, 4]
  x = np.abs(centres[:, None] - taps)
  near = ((_A + 2) * x - (_A + 3)) * x**2 + 1
  far = ((x - 5) * x + 8) * x * _A - 4 * _A
  return _scatter(taps, np.where(x < 1, near, far), size)


def _linear_weights(size: int, new_size: int) -> np.ndarray:
  """Returns the weights of old entries for new ones, float64 [new, old]."""
  # Each new entry lies between two old ones, its taps.
  centres = (np.arange(new_size) + 0.5) * size / new_size - 0.5
  centres = np.clip(centres, 0, size - 1)
  below = np.floor(centres)
  rest = centres - below
  taps = np.stack([below, below + 1], axis=1)  # [new, 2]
  return _scatter(taps, np.stack([1 - rest, rest], axis=1), size)


def _scatter(taps, weights, size):
  """Returns a matrix [new, size] of weights [new, taps] at entries `taps`."""
  matrix = np.zeros((len(taps), size))
  rows = np.arange(len(taps))[:, None]
  columns = np.clip(taps, 0, size - 1).astype(int)
  np.add.at(matrix, (rows, columns), weights)
  return matrix
