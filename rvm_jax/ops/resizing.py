"""Bicubic resizing with antialiasing, as Pillow does it, on the device."""

import jax
import jax.numpy as jnp

# Pillow's bicubic kernel has this parameter, and is 0 from a distance of 2 on.
_A = -0.5


def resize(
    frames: jax.Array,
    sizes: jax.Array,
    is_flipped: jax.Array,
    height: int,
    width: int,
) -> jax.Array:
  """Resizes boxes of different sizes to one size, and mirrors some of them.

  A box is the part of a clip's frames that `data.crops.cut` has cut out. The
  result is within one grey level of that of `PIL.Image.resize(BICUBIC)`, which
  `data.crops.crop` uses: Pillow sums in fixed point, and here the sums are
  products with a matrix in float32.

  Args:
    frames: n frames of each clip, uint8 [B, n, H, W, 3]. The clip's box fills
      the top left corner of each; the pixels outside of it are ignored.
    sizes: height and width of each clip's box, in [1, H] and [1, W], int32
      [B, 2].
    is_flipped: whether a clip is mirrored left to right, bool [B].
    height: height of the result in pixels.
    width: width of the result in pixels.

  Returns:
    The resized boxes, uint8 [B, n, height, width, 3].
  """

  def resize_clip(clip):
    frames, (box_height, box_width), is_flipped = clip
    columns = _weights(box_width, frames.shape[2], width)
    columns = jnp.where(is_flipped, columns[::-1], columns)
    rows = _weights(box_height, frames.shape[1], height)
    # Pillow rounds between the two passes too.
    frames = _round(_product('nhwc,xw->nhxc', frames, columns))
    return _round(_product('nhxc,yh->nyxc', frames, rows)).astype(jnp.uint8)

  # One clip after the other: in float32, all frames of a batch would need more
  # memory than some models.
  return jax.lax.map(resize_clip, (frames, sizes, is_flipped))


def _weights(size: jax.Array, size_in: int, size_out: int) -> jax.Array:
  """Returns the matrix that resizes a line of pixels.

  Args:
    size: number of pixels of the line, int32 [].
    size_in: number of pixels that the line is stored with. Those from `size` on
      are not a part of it and have the weight 0.
    size_out: number of pixels of the resized line.

  Returns:
    The weight of each stored pixel for each new one, float32
    [size_out, size_in]. Each row has the sum 1.
  """
  scale = size / size_out
  # A line that shrinks is smoothed by a wider kernel.
  spread = jnp.maximum(scale, 1)
  centres = (jnp.arange(size_out) + 0.5) * scale
  places = jnp.arange(size_in) + 0.5
  x = jnp.abs(places[None] - centres[:, None]) / spread
  near = ((_A + 2) * x - (_A + 3)) * x**2 + 1
  far = (((x - 5) * x + 8) * x - 4) * _A
  weights = jnp.where(x < 1, near, jnp.where(x < 2, far, 0))
  weights = jnp.where(places[None] < size, weights, 0)
  return weights / weights.sum(1, keepdims=True)


def _product(pattern: str, frames: jax.Array, weights: jax.Array) -> jax.Array:
  """Computes an einsum in full float32 precision on every device."""
  return jnp.einsum(
      pattern,
      frames.astype(jnp.float32),
      weights,
      precision=jax.lax.Precision.HIGHEST,
  )


def _round(values: jax.Array) -> jax.Array:
  """Returns the nearest grey levels, as floats."""
  return jnp.clip(jnp.floor(values + 0.5), 0, 255)
