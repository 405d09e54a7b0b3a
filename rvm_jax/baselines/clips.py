"""The part that all clip models share: a plain ViT over tubelets.

A tubelet is a patch in several consecutive frames, and becomes a token. t, h
and w are the numbers of tubelets along time, rows and columns.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import layers
from rvm_jax.baselines import reading
from rvm_jax.baselines import sizes


class ClipEncoder(nn.Module):
  """A plain ViT over the tubelets of a clip; the base of a family's class.

  Attributes:
    family: name of the family of models.
    num_prefix: number of prefix tokens: 0.
    biases: names of the dense layers of a block that have a bias.
    width: D, number of channels of a token.
    depth: number of blocks.
    num_heads: number of attention heads.
    mlp_width: hidden width of the MLP.
    patch: side of a tubelet in pixels.
    tubelet: number of frames of a tubelet.
    rows: number of rows of patches, and also of columns, in the frames that the
      model was trained on.
    num_frames: number of frames of the clips that the model was trained on.
    epsilon: what the norms add to the variance.
    dtype: dtype of the matrix products and of the tokens.
    attention: implementation of attention, see `ops.attention.attend`.
  """

  family: ClassVar[str]
  num_prefix: ClassVar[int] = 0
  biases: ClassVar[tuple[str, ...]] = layers.BIASES

  width: int
  depth: int
  num_heads: int
  mlp_width: int
  patch: int
  tubelet: int
  rows: int
  num_frames: int
  epsilon: float
  dtype: layers.Dtype = jnp.float32
  attention: str = 'auto'

  def embed(self, frames: jax.Array) -> jax.Array:
    """Maps frames [B, T, H, W, 3] to tokens of tubelets [B, t, h, w, D].

    Raises:
      ValueError: the frames have another shape, or cannot be cut into tubelets.
    """
    size = (self.tubelet, self.patch, self.patch)
    embed = layers.PatchEmbedding(self.width, size, self.dtype, name='patches')
    return embed(frames)

  def transform(
      self, x: jax.Array, rotate: layers.Rotation | None = None
  ) -> jax.Array:
    """Applies the blocks and the final norm to tokens [B, t, h, w, D].

    Args:
      x: tokens.
      rotate: function that rotates queries and keys by their positions, or
        None.

    Returns:
      The tokens in raster order, [B, t * h * w, D].
    """
    x = x.reshape(x.shape[0], -1, self.width)
    for i in range(self.depth):
      x = layers.Block(
          self.num_heads,
          self.mlp_width,
          self.epsilon,
          self.dtype,
          self.attention,
          self.biases,
          name=f'blocks_{i}',
      )(x, rotate)
    return layers.LayerNorm(
        epsilon=self.epsilon, dtype=self.dtype, name='norm'
    )(x)


def read_sizes(
    arrays: reading.Arrays, heads: Mapping[int, int], prefix: str = ''
) -> dict[str, Any]:
  """Reads sizes from the shapes of the arrays of an original file.

  Args:
    arrays: arrays of the file.
    heads: number of attention heads of the released models, by their width. No
      array's shape tells this number.
    prefix: regular expression for the beginning of the encoder's keys.

  Returns:
    width, depth, num_heads, mlp_width, patch and tubelet of `ClipEncoder`.

  Raises:
    ValueError: an array that tells a size is missing or has an unexpected
      number of axes; or the width is not that of a released model.
  """
  kernel = prefix + r'patch_embed\.proj\.weight'
  width = sizes.find_size(arrays, kernel, 0, 5)
  blocks = prefix + r'blocks\.(\d+)\.'
  return {
      'width': width,
      'depth': sizes.count_blocks(arrays, blocks),
      'num_heads': sizes.find_heads(arrays, width, heads),
      'mlp_width': sizes.find_size(arrays, blocks + r'mlp\.fc1\.weight', 0, 2),
      'patch': sizes.find_size(arrays, kernel, 3, 5),
      'tubelet': sizes.find_size(arrays, kernel, 2, 5),
  }
