"""Queries made of coordinates."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


def to_shares(places: jax.Array, height: int, width: int) -> jax.Array:
  """Pixels to shares of the frame's sides; x and y take turns on the last axis.

  Args:
    places: float [..., 2 or 4], points (x, y) or boxes (x0, y0, x1, y1).
    height, width: of the frame, in pixels.
  """
  return places / _sides(places, height, width)


def to_pixels(shares: jax.Array, height: int, width: int) -> jax.Array:
  """Inverse of `to_shares`."""
  return shares * _sides(shares, height, width)


def embed_fourier(coordinates: jax.Array, num_bases: int) -> jax.Array:
  """Sines and cosines of coordinates in [0, 1], of octaves from a half wave up.

  Args:
    coordinates: float [..., D].
    num_bases: octaves.

  Returns:
    float32 [..., 2 * num_bases * D]: the sines of every coordinate in every
    octave, then the cosines.
  """
  *lead, size = coordinates.shape
  octaves = (np.pi * 2.0 ** np.arange(num_bases)).astype(np.float32)
  octaves = octaves.reshape(*[1] * len(lead), 1, num_bases)
  angles = (coordinates[..., None] * octaves).reshape(*lead, size * num_bases)
  return jnp.sin(jnp.concatenate([angles, angles + np.float32(np.pi / 2)], -1))


class CoordinateQueries(nn.Module):
  """Fourier features and an MLP of two layers; GELU between them is ours.

  Attributes:
    width: E, of both layers.
    num_bases: octaves of the Fourier features.
  """

  width: int
  num_bases: int

  @nn.compact
  def __call__(self, coordinates: jax.Array) -> jax.Array:
    """float [..., D] in [0, 1] to float32 [..., E]."""
    x = embed_fourier(coordinates, self.num_bases)
    x = nn.gelu(nn.Dense(self.width, name='dense_in')(x), approximate=True)
    return nn.Dense(self.width, name='dense_out')(x)


def _sides(places, height, width):
  *lead, size = places.shape
  sides = np.tile(np.array([width, height], np.float32), size // 2)
  return sides.reshape(*[1] * len(lead), size)
