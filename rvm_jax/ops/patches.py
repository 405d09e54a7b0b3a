"""Cuts images into patches and puts them together again."""

import jax


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
  x = images.reshape(*lead, rows, patch, columns, patch, channels)
  x = x.swapaxes(-4, -3)  # [..., h, w, P, P, C]
  return x.reshape(*lead, rows * columns, patch * patch * channels)


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
