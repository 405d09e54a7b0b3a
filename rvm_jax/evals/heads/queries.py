"""Makes queries from the coordinates of points and boxes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def normalise(coordinates: jax.Array, height: int, width: int) -> jax.Array:
  """Divides x by the width and y by the height, so that a frame is [0, 1].

  Args:
    coordinates: points (x, y) or boxes (x0, y0, x1, y1) in pixels, float
      [..., 2] or [..., 4].
    height: height of the frame in pixels.
    width: width of the frame in pixels.

  Returns:
    Normalised coordinates, float of the shape of `coordinates`.
  """
  return coordinates / _sides(coordinates, height, width)


def to_pixels(coordinates: jax.Array, height: int, width: int) -> jax.Array:
  """Converts normalised coordinates to pixels; the inverse of `normalise`.

  Args:
    coordinates: normalised points or boxes, float [..., 2] or [..., 4].
    height: height of the frame in pixels.
    width: width of the frame in pixels.

  Returns:
    Coordinates in pixels, float of the shape of `coordinates`.
  """
  return coordinates * _sides(coordinates, height, width)


def embed_fourier(coordinates: jax.Array, num_bases: int) -> jax.Array:
  """Computes Fourier features: sines and cosines of pi * 2^i * coordinate.

  Args:
    coordinates: n normalised coordinates, float [..., n].
    num_bases: number of octaves; i runs from 0 to num_bases - 1.

  Returns:
    float32 [..., 2 * num_bases * n]: the sines of all octaves of the first
    coordinate, then those of the next ones; then all cosines in this order.
  """
  *lead, size = coordinates.shape
  octaves = (np.pi * 2.0 ** np.arange(num_bases)).astype(np.float32)
  octaves = octaves.reshape(*[1] * len(lead), 1, num_bases)
  angles = (coordinates[..., None] * octaves).reshape(*lead, size * num_bases)
  # The cosine is the sine a quarter turn ahead.
  return jnp.sin(jnp.concatenate([angles, angles + np.float32(np.pi / 2)], -1))


class CoordinateQueries(nn.Module):
  """Embeds coordinates by Fourier features and an MLP of two dense layers.

  The activation between the layers is not published; ours is tanh-GELU.

  Attributes:
    width: width of both layers, E.
    num_bases: number of octaves of the Fourier features.
  """

  width: int
  num_bases: int

  @nn.compact
  def __call__(self, coordinates: jax.Array) -> jax.Array:
    """Maps normalised coordinates, float [..., n], to float32 [..., E]."""
    x = embed_fourier(coordinates, self.num_bases)
    x = nn.gelu(nn.Dense(self.width, name='dense_in')(x), approximate=True)
    return nn.Dense(self.width, name='dense_out')(x)


def _sides(coordinates, height, width):
  """Returns what to divide each coordinate by: width for x, height for y."""
  *lead, size = coordinates.shape
  sides = np.tile(np.array([width, height], np.float32), size // 2)
  return sides.reshape(*[1] * len(lead), size)
