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

from absl import logging
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.baselines import clips
from rvm_jax.baselines import layers
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming
from rvm_jax.baselines import sizes
from rvm_jax.baselines import vjepa

# Number of heads of the released models by their width. They are L (24 blocks),
# H (32) and g (40).
HEADS = {1024: 16, 1280: 16, 1408: 22}
# Width of size g, the only one that was released both for frames of 256 and of
# 384 pixels.
WIDTH_OF_TWO_GRIDS = 1408

# Keys of Hugging Face's config, by the names of the values here.
_KEYS = {
    'width': 'hidden_size',
    'depth': 'num_hidden_layers',
    'num_heads': 'num_attention_heads',
    'mlp_ratio': 'mlp_ratio',
    'patch': 'patch_size',
    'tubelet': 'tubelet_size',
    'crop_size': 'crop_size',
    'num_frames': 'frames_per_clip',
    'epsilon': 'layer_norm_eps',
}


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
      ValueError: T, H or W is not a multiple of the size of a tubelet.
    """
    x = self.embed(frames)
    _, length, height, width, _ = x.shape
    angles = rotary_angles(
        length, height, width, self.rows, self.width // self.num_heads
    )
    return self.transform(x, make_rotation(angles))


def rotary_angles(
    length: int, height: int, width: int, rows: int, head_width: int
) -> np.ndarray:
  """Returns the angles by which channels of queries and keys are rotated.

  The channels of a head belong to the axes time, rows and columns in turn, with
  r = 2 floor(floor(C / 3) / 2) channels for each axis. Any further channels
  have the angle 0. Channels j and j + r / 2 of an axis, 0 <= j < r / 2, have
  the angle p / 10000^(2 j / r) at position p.

  The position in time is the number of the tubelet. The positions of rows and
  columns are interpolated into the native grid, as in the released RVM
  evaluation. (Hugging Face's class numbers those of other grids wrongly.)

  Args:
    length: t, number of tubelets along time.
    height: h, number of rows of patches.
    width: w, number of columns of patches.
    rows: number of rows and of columns of the native grid.
    head_width: C, number of channels of a head.

  Returns:
    The angles in radians, float64 [t * h * w, C].
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

  The released models combine neighbouring channels 2 i and 2 i + 1, each with
  the sine and cosine of its own angle. These angles differ, because channels j
  and j + r / 2 have the same one. The result is therefore not a true rotation,
  but the models were trained with it.

  Args:
    angles: angle of each channel in radians, [N, C].
  """
  is_even = np.arange(angles.shape[1]) % 2 == 0
  sine = np.sin(angles)
  # Factors [1, N, 1, C] of a channel itself, of the next and of the previous
  # one. Channel 2 i subtracts channel 2 i + 1, and channel 2 i + 1 adds channel
  # 2 i.
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
  """Returns the positions of `size` patches in a row of `native` patches."""
  centres = (np.arange(size) + 0.5) * native / size - 0.5
  return np.clip(centres, 0, native - 1)


# Keys of Hugging Face begin with `vjepa2.` in classifiers, whose encoder is the
# released one: only their head was trained.
_HF = r'(?:vjepa2\.)?encoder\.'
_BLOCK = _HF + r'layer\.(\d+)\.'
_PATH = r'blocks_\1/'

TABLE = renaming.Table(
    # The keys of the original repository come first, then those of Hugging
    # Face.
    vjepa.RENAMES
    | {
        _HF + r'embeddings\.patch_embeddings\.proj': 'patches',
        _BLOCK + r'norm([12])': _PATH + r'norm\2',
        _BLOCK + r'attention\.(query|key|value)': _PATH + r'attention/\2',
        _BLOCK + r'attention\.proj': _PATH + 'attention/out',
        _BLOCK + r'mlp\.fc1': _PATH + 'mlp/up',
        _BLOCK + r'mlp\.fc2': _PATH + 'mlp/down',
        _HF + r'layernorm': 'norm',
    },
    dropped={
        r'(?:vjepa2\.)?predictor\..*': 'of the predictor',
        r'(?:pooler|classifier)\..*': 'of the classifier',
        r'pos_embed': 'not used beside rotary positions',
    },
)


def from_config(name: str, config: Mapping[str, Any]) -> VJEPA2:
  """Makes the model that Hugging Face's config describes.

  Args:
    name: path of the config, for error messages.
    config: contents of `config.json`.

  Raises:
    ValueError: the config lacks a size, or describes a model that this module
      does not compute.
  """
  values = sizes.select(
      name,
      config,
      list(_KEYS.values()),
      hidden_act='gelu',
      in_chans=3,
      qkv_bias=True,
  )
  found = dict(zip(_KEYS, values, strict=True))
  rows = found.pop('crop_size') // found['patch']
  mlp_width = int(found['width'] * found.pop('mlp_ratio'))
  return VJEPA2(**found, rows=rows, mlp_width=mlp_width)


def is_original(specs: Mapping[str, reading.Spec]) -> bool:
  """Tells whether arrays are those of a file of the original repository."""
  return (
      'blocks.0.attn.qkv.bias' in specs
      and 'patch_embed.proj.weight' in specs
      and len(specs['patch_embed.proj.weight'].shape) == 5
      and not vjepa.is_original(specs)
  )


def from_arrays(arrays: reading.Arrays) -> VJEPA2:
  """Makes the model that a file of the original repository belongs to.

  Args:
    arrays: arrays of the file.

  Raises:
    ValueError: an array that tells a size is missing or has an unexpected
      number of axes, or the width is not that of a released model.
  """
  found = clips.read_sizes(arrays, HEADS)
  rows = _find_rows(arrays, found['width'])
  return VJEPA2(**found, rows=rows, num_frames=64, epsilon=1e-6)


def _find_rows(arrays: reading.Arrays, width: int) -> int:
  """Returns the number of rows of the grid that a model was trained with."""
  # If a file has position embeddings, they are those of 16 or 64 frames, which
  # are 8 or 32 tubelets.
  if 'pos_embed' in arrays.specs:
    tokens = sizes.find_size(arrays, 'pos_embed', 1, 3)
    for rows in (16, 24):
      if tokens in (8 * rows**2, 32 * rows**2):
        return rows
  if width == WIDTH_OF_TWO_GRIDS:
    logging.warning(
        '%s does not tell whether it was trained with frames of 256 or of 384'
        ' pixels: 256 is assumed. For 384, take model.clone(rows=24)',
        arrays.name,
    )
  return 16
