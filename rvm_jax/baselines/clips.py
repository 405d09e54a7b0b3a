"""What the encoders of clips share: a plain ViT over tubelets."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import layers


class ClipEncoder(nn.Module):
  """A plain ViT over the tubelets of a clip; the base of a family's class.

  Attributes:
    family: name of the family of models.
    num_prefix: number of tokens before those of the tubelets: none.
    biases: names of the dense layers of a block that have a bias.
    width: D, number of channels of a token.
    depth: number of blocks.
    num_heads: number of attention heads.
    mlp_width: hidden width of the MLP.
    patch: side of a tubelet in pixels.
    tubelet: number of frames of a tubelet.
    rows: number of rows, and of columns, of patches in the frames that the
      model was trained on.
    num_frames: number of frames of the clips that it was trained on.
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
      ValueError: the frames cannot be cut into tubelets.
    """
    if frames.ndim != 5 or frames.shape[-1] != 3:
      raise ValueError(
          f'frames must be [B, T, H, W, 3], got the shape {frames.shape}'
      )
    size = (self.tubelet, self.patch, self.patch)
    return layers.embed_patches(frames, self.width, size, self.dtype)

  def transform(
      self, x: jax.Array, rotate: layers.Rotation | None = None
  ) -> jax.Array:
    """Applies the blocks and the final norm to tokens [B, t, h, w, D].

    Args:
      x: tokens.
      rotate: function that turns queries and keys by their positions.

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
