"""The part that all image models share: a ViT with prefix tokens."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import layers


class ImageEncoder(nn.Module):
  """A ViT that encodes each frame on its own; the base of a family's class.

  Attributes:
    family: name of the family of models.
    tubelet: number of frames that a token covers: one.
    width: D, number of channels of a token.
    depth: number of blocks.
    num_heads: number of attention heads.
    mlp_width: hidden width of the MLPs.
    gated: whether the MLPs are gated.
    num_registers: number of register tokens.
    biases: names of the dense layers that have a bias, see `layers.BIASES`.
    patch: side of a patch in pixels.
    epsilon: what the norms add to the variance.
    dtype: dtype of the matrix products and of the tokens.
    attention: implementation of attention, see `ops.attention.attend`.
  """

  family: ClassVar[str]
  tubelet: ClassVar[int] = 1

  width: int
  depth: int
  num_heads: int
  mlp_width: int
  gated: bool
  num_registers: int
  biases: tuple[str, ...]
  patch: int
  epsilon: float
  dtype: layers.Dtype = jnp.float32
  attention: str = 'auto'

  @property
  def num_prefix(self) -> int:
    """Number of tokens before those of the patches: CLS and the registers."""
    return 1 + self.num_registers

  def embed(self, frames: jax.Array) -> jax.Array:
    """Maps frames [B, T, H, W, 3] to tokens of patches [B * T, h, w, D].

    Raises:
      ValueError: the frames have another shape, or H or W is not a multiple of
        the patch's side.
    """
    size = (self.patch, self.patch)
    embed = layers.PatchEmbedding(self.width, size, self.dtype, name='patches')
    x = embed(frames)
    return x.reshape(-1, *x.shape[2:])

  def add_tokens(self, name: str, num_tokens: int) -> jax.Array:
    """Adds tokens to the parameters of the model and returns them.

    Args:
      name: name of the parameter.
      num_tokens: number of tokens.

    Returns:
      The parameter, float32 [1, num_tokens, D].
    """
    return self.param(
        name,
        nn.initializers.normal(0.02, jnp.float32),
        (1, num_tokens, self.width),
    )

  def transform(
      self,
      prefix: list[jax.Array],
      x: jax.Array,
      rotate: layers.Rotation | None = None,
  ) -> jax.Array:
    """Applies the blocks and the final norm.

    Args:
      prefix: prefix tokens in arrays of shape [1, tokens, D]. They are put
        before the patches of each image, and are `num_prefix` in all.
      x: tokens of patches, [B * T, h, w, D].
      rotate: function that rotates queries and keys by their positions, or
        None.

    Returns:
      The tokens, [B * T, num_prefix + h * w, D], the prefix tokens first.
    """
    num_images = x.shape[0]
    first = jnp.concatenate(prefix, axis=1).astype(self.dtype)
    first = jnp.broadcast_to(first, (num_images, *first.shape[1:]))
    x = jnp.concatenate([first, x.reshape(num_images, -1, self.width)], axis=1)
    for i in range(self.depth):
      x = layers.Block(
          self.num_heads,
          self.mlp_width,
          self.epsilon,
          self.dtype,
          self.attention,
          self.biases,
          layer_scale=True,
          gated=self.gated,
          name=f'blocks_{i}',
      )(x, rotate)
    return layers.LayerNorm(self.epsilon, self.dtype, name='norm')(x)
