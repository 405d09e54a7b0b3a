"""The image encoder: a ViT that sees every frame alone."""

import flax.linen as nn
import jax

from rvm_jax.models import layers


class PatchEmbedding(nn.Module):
  """A dense layer over patches, kept in the shape of a convolution's kernel."""

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:  # [..., N, P * P * 3]
    # One frame, P rows, P columns, three channels: the released kernel.
    patches = patches.reshape(
        *patches.shape[:-1], 1, self.patch, self.patch, 3
    )
    return nn.DenseGeneral(
        self.width,
        axis=(-4, -3, -2, -1),
        dtype=self.dtype,
        kernel_init=layers.XAVIER,
        name='Conv_0',
    )(patches)


class Tokenizer(nn.Module):
  """Patches [..., N, P * P * 3] in [0, 1] to tokens [..., N, D]."""

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array, positions: jax.Array) -> jax.Array:
    """Embeds `patches` and adds `positions`, [N, D] or [..., N, D]."""
    x = PatchEmbedding(
        self.width, self.patch, self.dtype, name='patch_embedding'
    )(patches)
    shape = (1,) * (x.ndim - positions.ndim) + positions.shape
    return x + positions.reshape(shape).astype(x.dtype)


class Encoder(nn.Module):
  """Pre-norm ViT over tokens [B, N, D]."""

  num_layers: int
  num_heads: int
  mlp_width: int
  dtype: layers.Dtype
  attention: str
  remat: str

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    block = layers.rematerialise(layers.Block, self.remat)
    x = layers.shard_batch(x)
    for i in range(self.num_layers):
      x = block(
          self.num_heads,
          self.mlp_width,
          self.dtype,
          self.attention,
          name=f'layers_{i}',
      )(x)
    return nn.LayerNorm(dtype=self.dtype, name='LayerNorm_0')(x)
