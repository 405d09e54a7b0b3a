"""V-JEPA 1: a clip model that was trained to predict hidden tubelets' features.

Sources: Bardes et al., arXiv 2404.08471; sizes, names and numbers of the
released weights: github.com/facebookresearch/jepa. Their licence is CC-BY-NC
4.0 (non-commercial). Hugging Face has no class for them.

Inputs are frames in [0, 1], normalised with the mean (.485, .456, .406) and the
standard deviation (.229, .224, .225). The models were trained with 16 frames.
"""

from collections.abc import Mapping
import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import clips
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming
from rvm_jax.baselines import resizing
from rvm_jax.baselines import sizes

# Number of heads of the released models by their width. They are L (24 blocks)
# and H (32), and H with frames of 384 pixels.
HEADS = {1024: 16, 1280: 16}
# Rows of patches by the number of position embeddings: for frames of 224 and of
# 384 pixels. These numbers distinguish V-JEPA 1 from V-JEPA 2, whose files have
# the same keys and may contain position embeddings that are not used. Those of
# V-JEPA 2 are for frames of 256 pixels, or for 384 and of a width that is not
# in `HEADS`.
ROWS = {8 * 14**2: 14, 8 * 24**2: 24}


class VJEPA(clips.ClipEncoder):
  """Encodes clips; the attributes are those of `clips.ClipEncoder`."""

  family: ClassVar[str] = 'vjepa'

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
    native = (self.num_frames // self.tubelet, self.rows, self.rows)
    # The table is not trained, but it is a part of the released files.
    table = self.param(
        'positions',
        nn.initializers.normal(0.02, jnp.float32),
        (1, math.prod(native), self.width),
    )
    table = resizing.resize_linear(
        table.reshape(*native, self.width), x.shape[1:4]
    )
    return self.transform(x + table.astype(x.dtype)[None])


# Keys that the files of V-JEPA 1 and 2 have in common.
RENAMES: dict[str, str | tuple[str | None, ...]] = {
    r'patch_embed\.proj': 'patches',
    r'blocks\.(\d+)\.norm([12])': r'blocks_\1/norm\2',
    r'blocks\.(\d+)\.attn\.qkv': (
        r'blocks_\1/attention/query',
        r'blocks_\1/attention/key',
        r'blocks_\1/attention/value',
    ),
    r'blocks\.(\d+)\.attn\.proj': r'blocks_\1/attention/out',
    r'blocks\.(\d+)\.mlp\.fc1': r'blocks_\1/mlp/up',
    r'blocks\.(\d+)\.mlp\.fc2': r'blocks_\1/mlp/down',
    r'norm': 'norm',
}
TABLE = renaming.Table(RENAMES | {r'pos_embed': 'positions'}, dropped={})


def is_original(specs: Mapping[str, reading.Spec]) -> bool:
  """Tells whether arrays are those of a file of the original repository."""
  return (
      'blocks.0.attn.qkv.bias' in specs
      and 'pos_embed' in specs
      and specs['pos_embed'].shape[1] in ROWS
      and specs['pos_embed'].shape[2] in HEADS
  )


def from_arrays(arrays: reading.Arrays) -> VJEPA:
  """Makes the model that a file of the original repository belongs to.

  Args:
    arrays: arrays of the file.

  Raises:
    ValueError: an array that tells a size is missing or has an unexpected
      number of axes, or the width is not that of a released model.
  """
  rows = ROWS[sizes.find_size(arrays, 'pos_embed', 1, 3)]
  found = clips.read_sizes(arrays, HEADS)
  return VJEPA(**found, rows=rows, num_frames=16, epsilon=1e-6)
