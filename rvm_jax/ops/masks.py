"""Sampling of the patches that a model sees, and of those hidden from it."""

import math

import jax
import jax.numpy as jnp
import numpy as np

# Number of masks over which `num_outside_blocks` takes the mean.
_NUM_DRAWS = 1024


def num_visible(num_patches: int, mask_ratio: float) -> int:
  """Returns the number of visible patches in a frame.

  Of 256 patches 12 are visible at a mask ratio of 0.95.

  Args:
    num_patches: N, number of patches in a frame.
    mask_ratio: share of the patches that are hidden, in [0, 1).

  Returns:
    V, which is N * (1 - mask_ratio) rounded down.
  """
  # In floats 100 * (1 - 0.9) is below 10. The tolerance is far below one patch
  # and far above such errors.
  return math.floor(num_patches * (1 - mask_ratio) + 1e-6)


def num_hidden(num_patches: int, mask_ratio: float) -> int:
  """Returns the number of hidden patches in a frame, rounded down.

  VideoMAE hides 176 of 196 patches at a mask ratio of 0.9. `num_visible` rounds
  the number of visible patches down instead, and would leave 177 hidden.

  Args:
    num_patches: N, number of patches in a frame.
    mask_ratio: share of the patches that are hidden, in [0, 1).

  Returns:
    N * mask_ratio, rounded down.
  """
  return math.floor(num_patches * mask_ratio + 1e-6)


def sample_visible(
    rng: jax.Array, shape: tuple[int, ...], num_patches: int, visible: int
) -> jax.Array:
  """Samples the visible patches of each target, independently and uniformly.

  Args:
    rng: random key.
    shape: shape of the batch of targets, such as (B, K).
    num_patches: N, number of patches in a frame.
    visible: V, number of different patches to sample for each target.

  Returns:
    Raster indices of the visible patches in increasing order, int32
    [*shape, V].
  """
  # The V largest of N random numbers are a uniform sample without replacement.
  noise = jax.random.uniform(rng, (*shape, num_patches))
  _, indices = jax.lax.top_k(noise, visible)
  return jnp.sort(indices, axis=-1)


def sample_split(
    rng: jax.Array, shape: tuple[int, ...], num_patches: int, visible: int
) -> tuple[jax.Array, jax.Array]:
  """Splits patches into visible and hidden ones, independently and uniformly.

  Args:
    rng: random key.
    shape: shape of the batch, such as (B, K).
    num_patches: N, number of patches in a frame.
    visible: V, number of visible patches.

  Returns:
    Raster indices of the visible patches, int32 [*shape, V], and of the hidden
    ones, int32 [*shape, N - V], both in increasing order.
  """
  return _split(jax.random.uniform(rng, (*shape, num_patches)), visible)


def sample_blocks(
    rng: jax.Array,
    shape: tuple[int, ...],
    grid: tuple[int, int],
    *,
    num_blocks: int,
    scale: float,
    aspect: tuple[float, float],
    visible: int,
) -> tuple[jax.Array, jax.Array]:
  """Splits patches into those inside blocks, which are hidden, and the others.

  The shapes of a compiled program are fixed, so every mask leaves the same
  number of patches visible. If the blocks leave more, random ones of these are
  hidden too; if they leave fewer, random ones inside the blocks are visible.

  Args:
    rng: random key.
    shape: shape of the batch, such as (B,).
    grid: rows and columns of patches in a frame.
    num_blocks: number of blocks in a mask; they may overlap.
    scale: area of a block as a share of the frame, in (0, 1].
    aspect: least and greatest height / width of a block.
    visible: V, number of visible patches, see `num_outside_blocks`.

  Returns:
    Raster indices of the visible patches, int32 [*shape, V], and of the hidden
    ones, int32 [*shape, N - V], both in increasing order.
  """
  block_rng, order_rng = jax.random.split(rng)
  uniform = jax.random.uniform(block_rng, (*shape, num_blocks, 3))
  inside = _cover(uniform, grid, scale, aspect)
  # Noise is below 1, so that patches outside of all blocks come first.
  noise = jax.random.uniform(order_rng, inside.shape)
  return _split(inside + noise, visible)


def num_outside_blocks(
    grid: tuple[int, int],
    *,
    num_blocks: int,
    scale: float,
    aspect: tuple[float, float],
) -> int:
  """Returns how many patches blocks leave visible on average, at least 1.

  The mean is taken over fixed random masks, and rounded down. The arguments are
  those of `sample_blocks`.
  """
  uniform = np.random.default_rng(0).random((_NUM_DRAWS, num_blocks, 3))
  outside = ~_cover(uniform, grid, scale, aspect)
  return max(1, int(outside.sum(-1).mean()))


def _cover(uniform, grid, scale, aspect):
  """Returns which patches lie inside of blocks, bool [..., N].

  It is written in operators and methods that NumPy and JAX share: the masks are
  counted on the host and sampled on devices.

  Args:
    uniform: random numbers in [0, 1) that decide each block's aspect ratio, row
      and column, [..., num_blocks, 3], an np.ndarray or a jax.Array.
    grid: rows and columns of patches in a frame.
    scale: area of a block as a share of the frame.
    aspect: least and greatest height / width of a block.
  """
  rows, columns = grid
  ratio = aspect[0] + (aspect[1] - aspect[0]) * uniform[..., :1]
  area = scale * rows * columns
  # Sides are rounded to whole patches, [..., num_blocks, 1].
  height = ((area * ratio) ** 0.5 + 0.5).clip(1, rows) // 1
  width = ((area / ratio) ** 0.5 + 0.5).clip(1, columns) // 1
  # Every place at which a block fits into the frame is equally likely.
  top = uniform[..., 1:2] * (rows - height + 1) // 1
  left = uniform[..., 2:] * (columns - width + 1) // 1
  lead = (1,) * (uniform.ndim - 1)
  row = np.arange(rows).repeat(columns).reshape(*lead, -1)
  column = np.tile(np.arange(columns), rows).reshape(*lead, -1)
  in_rows = (row >= top) & (row < top + height)
  in_columns = (column >= left) & (column < left + width)
  return (in_rows & in_columns).any(-2)


def _split(score, visible):
  """Splits patches by score: the `visible` lowest ones, and the others."""
  order = jnp.argsort(score, axis=-1).astype(jnp.int32)
  return (
      jnp.sort(order[..., :visible], axis=-1),
      jnp.sort(order[..., visible:], axis=-1),
  )
