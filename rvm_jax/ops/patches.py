"""Cuts images into patches and puts them together again."""

import math

import jax
import jax.numpy as jnp


def grid(height: int, width: int, patch: int) -> tuple[int, int]:
  """Computes how many rows and columns of patches an image has.

  Args:
    height: height of the image in pixels.
    width: width of the image in pixels.
    patch: side of a patch in pixels.

  Returns:
    The number of rows and the number of columns.

  Raises:
    ValueError: height or width is not a positive multiple of `patch`; the
      message gives the nearest multiples.
  """
  for name, side in (('height', height), ('width', width)):
    if side <= 0 or side % patch:
      below = side // patch * patch
      nearest = f'{below} or {below + patch}' if below > 0 else patch
      raise ValueError(
          f'{name} must be a positive multiple of the patch side {patch}, got'
          f' {side}; take {nearest}'
      )
  return height // patch, width // patch


def patchify(images: jax.Array, patch: int) -> jax.Array:
  """Cuts images into patches.

  On a TPU, uint8 images take a tenth of the time of floats, so they are better
  converted to floats after they are cut.

  Args:
    images: images of any dtype, [..., H, W, C].
    patch: P, side of a patch in pixels.

  Returns:
    The patches in raster order, [..., N, P * P * C]. The values of a patch are
    in the order (row, column, channel).

  Raises:
    ValueError: H or W is not a positive multiple of `patch`.
  """
  *lead, height, width, channels = images.shape
  rows, columns = grid(height, width, patch)
  if isinstance(images, jax.Array) and images.dtype == jnp.uint8:
    flat = images.reshape(math.prod(lead), height, width, channels)
    x = jax.lax.platform_dependent(
        flat,
        tpu=lambda x: _select(x, patch),
        default=lambda x: _transpose(x, patch),
    )
  else:
    x = _transpose(images, patch)
  return x.reshape(*lead, rows * columns, patch * patch * channels)


def _transpose(images: jax.Array, patch: int) -> jax.Array:
  """Cuts images [..., H, W, C] into patches [..., h, w, P * P * C]."""
  *lead, height, width, channels = images.shape
  rows, columns = height // patch, width // patch
  x = images.reshape(*lead, rows, patch, columns, patch, channels)
  x = x.swapaxes(-4, -3)  # [..., h, w, P, P, C]
  return x.reshape(*lead, rows, columns, patch * patch * channels)


def _select(images: jax.Array, patch: int) -> jax.Array:
  """Computes what `_transpose` does for uint8 [B, H, W, C], by a convolution.

  A TPU keeps the pixels of a row side by side in the 128 lanes of its
  registers. Transposing them into rows of P pixels leaves most lanes empty, so
  that a copy moves 8 to 16 times the bytes of the images. TPUs have a unit for
  convolutions, which reads the pixels in the layout that they have. The kernel
  of this convolution is the identity matrix, so that each value of a patch is a
  sum with at most one term that is not zero. The result is exact, because
  bfloat16 holds all integers up to 256.
  """
  size = patch * patch * images.shape[-1]
  # Without the barrier the compiler would store the matrix in the program, 1 MB
  # for P = 16. With it, the program computes the matrix once.
  kernel = jax.lax.optimization_barrier(jnp.eye(size, dtype=jnp.bfloat16))
  # The compiler changes the layout of the pixels before the convolution, and
  # this change is slow in uint8. It would move a plain conversion to bfloat16
  # behind the change, but leaves a product before it.
  x = images.astype(jnp.bfloat16) * jnp.bfloat16(1 / 256)
  x = jax.lax.conv_general_dilated(
      x,
      kernel.reshape(patch, patch, -1, size),
      window_strides=(patch, patch),
      padding='VALID',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      preferred_element_type=jnp.float32,
  )
  return (x * 256).astype(jnp.uint8)


def unpatchify(
    patches: jax.Array, height: int, width: int, patch: int
) -> jax.Array:
  """Puts patches together to images: the inverse of `patchify`.

  Args:
    patches: patches as returned by `patchify`, [..., N, P * P * C].
    height: H, height of the images in pixels.
    width: W, width of the images in pixels.
    patch: P, side of a patch in pixels.

  Returns:
    The images, [..., H, W, C].

  Raises:
    ValueError: H or W is not a positive multiple of `patch`.
  """
  *lead, _, size = patches.shape
  rows, columns = grid(height, width, patch)
  channels = size // patch**2
  x = patches.reshape(*lead, rows, columns, patch, patch, channels)
  x = x.swapaxes(-4, -3)  # [..., h, P, w, P, C]
  return x.reshape(*lead, height, width, channels)


def tubelets(frames: jax.Array, patch: int, length: int) -> jax.Array:
  """Cuts videos into tubelets: the patches at one place in several frames.

  Args:
    frames: frames of any dtype, [B, T, H, W, C].
    patch: P, side of a patch in pixels.
    length: L, number of frames of a tubelet, which divides T.

  Returns:
    The tubelets of each step of L frames in raster order, [B, T / L, N,
    L * P * P * C]. Their values are in the order (frame, row, column, channel).

  Raises:
    ValueError: T is not a positive multiple of `length`, or H or W is not a
      positive multiple of `patch`.
  """
  batch, time = frames.shape[:2]
  if not time or time % length:
    raise ValueError(
        f'the number of frames must be a positive multiple of {length}, got'
        f' {time}'
    )
  x = patchify(frames, patch)
  x = x.reshape(batch, time // length, length, *x.shape[2:]).swapaxes(2, 3)
  return x.reshape(*x.shape[:3], -1)


def untubelets(
    x: jax.Array, height: int, width: int, patch: int, length: int
) -> jax.Array:
  """Puts tubelets together to videos: the inverse of `tubelets`.

  Args:
    x: tubelets as returned by `tubelets`, [B, T / L, N, L * P * P * C].
    height: H, height of the frames in pixels.
    width: W, width of the frames in pixels.
    patch: P, side of a patch in pixels.
    length: L, number of frames of a tubelet.

  Returns:
    The frames, [B, T, H, W, C].

  Raises:
    ValueError: H or W is not a positive multiple of `patch`.
  """
  batch, steps, size, _ = x.shape
  x = x.reshape(batch, steps, size, length, -1).swapaxes(2, 3)
  x = x.reshape(batch, steps * length, size, -1)
  return unpatchify(x, height, width, patch)


def take(x: jax.Array, index: jax.Array) -> jax.Array:
  """Takes the tubelets at given places from every step of a clip.

  A step is L consecutive frames, see `tubelets`.

  Args:
    x: vectors of F values, one for each of the N tubelets of each of t steps,
      [B, t, N, F]; or [1, t, N, F] if they are the same for all clips.
    index: raster indices of the tubelets to take from each step, int [B, V].

  Returns:
    The vectors of the taken tubelets, step by step, [B, t * V, F].
  """
  found = jnp.take_along_axis(x, index[:, None, :, None], axis=2)
  return found.reshape(len(index), -1, x.shape[-1])


def put(x: jax.Array, index: jax.Array, values: jax.Array) -> jax.Array:
  """Replaces the tubelets at given places in every step of a clip.

  Args:
    x: vectors of F values, one for each of the N tubelets of each of t steps,
      [B, t, N, F].
    index: raster indices of the tubelets to replace in each step, int [B, V].
    values: new vectors, step by step, as `take` returns them, [B, t * V, F].

  Returns:
    A copy of `x` with the new values, [B, t, N, F].
  """
  values = values.reshape(*x.shape[:2], index.shape[-1], x.shape[-1])
  return jax.vmap(lambda x, i, v: x.at[:, i].set(v))(x, index, values)
