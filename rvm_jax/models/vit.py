"""The image encoder: a ViT that sees every frame alone."""

import flax.linen as nn
import jax

from rvm_jax.models import layers

# Logical axes of the encoder's own parameters, see `layers`.
PARAMETER_AXES = {
    '/Conv_0/kernel': (None, None, None, None, 'embed'),
    '/Conv_0/bias': ('embed',),
    '/LayerNorm_0/scale': ('embed',),
    '/LayerNorm_0/bias': ('embed',),
}


class PatchConvolution(nn.Module):
  """A convolution whose stride is its kernel, as a product with patches."""

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:  # [..., N, P * P * 3]
    def init_kernel(key, shape):  # One frame, P rows, P columns, channels.
      flat = layers.XAVIER(key, (patches.shape[-1], self.width))
      return flat.reshape(shape)

    shape = (1, self.patch, self.patch, 3, self.width)
    kernel = self.param('kernel', init_kernel, shape)
    bias = self.param('bias', nn.initializers.zeros, (self.width,))
    kernel = kernel.reshape(-1, self.width).astype(self.dtype)
    x = patches.astype(self.dtype) @ kernel
    return x + bias.astype(self.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


class PatchEmbedding(nn.Module):
  """Holds the convolution where the released checkpoints have it."""

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    return PatchConvolution(self.width, self.patch, self.dtype, name='Conv_0')(
        patches
    )


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


class VisionTransformer(nn.Module):
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
    x = nn.with_logical_constraint(x, layers.TOKENS)
    for i in range(self.num_layers):
      x = block(
          self.num_heads,
          self.mlp_width,
          self.dtype,
          self.attention,
          name=f'layers_{i}',
      )(x)
    return nn.LayerNorm(dtype=self.dtype, name='LayerNorm_0')(x)
