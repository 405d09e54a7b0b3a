"""V-JEPA 2: V-JEPA with rotary positions.

Sources: Assran et al., arXiv 2506.09985; sizes, names and numbers of the
released weights: github.com/facebookresearch/vjepa2 and Hugging Face's
`VJEPA2Model`. The licence of the code is MIT, that of the weights MIT or
Apache-2.0.

Inputs are frames in [0, 1], normalised with the mean (.485, .456, .406) and the
standard deviation (.229, .224, .225). The models were trained with 16 and then
64 frames, 4 a second.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.baselines import clips
from rvm_jax.baselines import layers
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming

# Number of heads of the released models by their width. They are L (24 blocks),
# H (32) and g (40).
HEADS = {1024: 16, 1280: 16, 1408: 22}


class VJEPA2(clips.ClipEncoder):
  """Encodes clips; the attributes are those of `clips.ClipEncoder`."""

  family: ClassVar[str] = 'vjepa2'

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    """Encodes clips.

    Args:
      frames: normalised frames, float [B, T, H, W, 3].

    Returns:
      Normalised tokens of the last block in raster order, [B, t * h * w, D].

    Raises:
      ValueError: T, H or W is not a multiple of a tubelet's sides.
    """
    x = self.embed(frames)
    angles = rotary_angles(
        *x.shape[1:4], self.rows, self.width // self.num_heads
    )
    return self.transform(x, make_rotation(angles))


def rotary_angles(
    length: int, height: int, width: int, rows: int, head_width: int
) -> np.ndarray:
  """Returns the angles by which channels of queries and keys are rotated.

  The channels of a head are those of time, of rows and of columns, which have
  r = 2 floor(floor(C / 3) / 2) channels each, and a rest of angle 0. Channels j
  and j + r / 2 of an axis have the angle p / 10000^(2 j / r) at position p.

  Time counts tubelets. Rows and columns of a grid that is not the native one
  are interpolated into it, as in the released RVM evaluation; Hugging Face's
  class numbers them wrongly.

  Args:
    length: t, number of tubelets along time.
    height: h, number of rows of patches.
    width: w, number of columns of patches.
    rows: number of rows and of columns of the native grid.
    head_width: C, number of channels of a head.

  Returns:
    The angles, float64 [t * h * w, C].
  """
  positions = np.meshgrid(
      np.arange(length),
      _interpolate(rows, height),
      _interpolate(rows, width),
      indexing='ij',
  )
  half = head_width // 3 // 2
  frequencies = 10000.0 ** (-np.arange(half) / half)
  parts = [
      np.tile(np.outer(position, frequencies), 2) for position in positions
  ]
  rest = np.zeros((len(parts[0]), head_width - 6 * half))
  return np.concatenate([*parts, rest], axis=1)


def make_rotation(angles: np.ndarray) -> layers.Rotation:
  """Returns a function that rotates queries or keys, [B, N, heads, C].

  Neighbouring channels 2 i and 2 i + 1 are a pair, although it is channels a
  half apart that have the same angle. So it is no rotation of pairs, but what
  the released models were trained with.

  Args:
    angles: angles of the channels, [N, C].
  """
  is_even = np.arange(angles.shape[1]) % 2 == 0
  sine = np.sin(angles)
  # [1, N, 1, C]. Channel 2 i takes in channel 2 i + 1 with a minus sign, and
  # channel 2 i + 1 takes in channel 2 i.
  own, later, earlier = (
      jnp.asarray(x[None, :, None])
      for x in (
          np.cos(angles),
          np.where(is_even, -sine, 0),
          np.where(is_even, 0, sine),
      )
  )

  def rotate(x: jax.Array) -> jax.Array:
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    y = (
        y * own
        + jnp.roll(y, -1, axis=-1) * later
        + jnp.roll(y, 1, axis=-1) * earlier
    )
    return y.astype(x.dtype)

  return rotate


def _interpolate(native: int, size: int) -> np.ndarray:
  """Returns the positions of a row of patches within a row of `native` ones."""
  centres = (np.arange(size) + 0.5) * native / size - 0.5
  return np.clip(centres, 0, native - 1)
