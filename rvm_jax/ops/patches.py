"""Images to patches and back."""

import jax


def grid(height: int, width: int, patch: int) -> tuple[int, int]:
  """Rows and columns of patches of side `patch` in a height x width image.

  Raises:
    ValueError: a side is not a positive multiple of `patch`.
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
  """Cuts images [..., H, W, C] into patches [..., N, patch * patch * C].

  Patches are in raster order; within a patch the order is (row, column,
  channel). Raises ValueError where a side is not a multiple of `patch`.
  """
  *lead, height, width, channels = images.shape
  rows, columns = grid(height, width, patch)
  x = images.reshape(*lead, rows, patch, columns, patch, channels)
  x = x.swapaxes(-4, -3)  # [..., h, w, P, P, C]
  return x.reshape(*lead, rows * columns, patch * patch * channels)


def unpatchify(
    patches: jax.Array, height: int, width: int, patch: int
) -> jax.Array:
  """Inverse of `patchify`: [..., N, patch * patch * C] to [..., H, W, C]."""
  *lead, _, size = patches.shape
  rows, columns = grid(height, width, patch)
  channels = size // patch**2
  x = patches.reshape(*lead, rows, columns, patch, patch, channels)
  x = x.swapaxes(-4, -3)  # [..., h, P, w, P, C]
  return x.reshape(*lead, height, width, channels)
