"""The image encoder: a vision transformer (ViT) for single frames."""

import functools

import flax.linen as nn
import jax

from rvm_jax.models import layers


class PatchConvolution(nn.Module):
  """A convolution whose stride is its kernel size, as a matrix product.

  Its input is already cut into patches, each of the size of the kernel.

  Attributes:
    width: D, number of output channels.
    patch: P, side of the kernel in pixels.
    dtype: dtype of the matrix product.
  """

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """Maps patches [..., N, P * P * 3] to [..., N, D]."""

    # The fan-in and fan-out are those of the matrix [P * P * 3, D].
    def init_kernel(key, shape):
      flat = layers.XAVIER(key, (patches.shape[-1], self.width))
      return flat.reshape(shape)

    # The released checkpoints store the kernel of a 3-D convolution over one
    # frame, P rows and P columns.
    shape = (1, self.patch, self.patch, 3, self.width)
    kernel = self.param('kernel', init_kernel, shape)
    bias = self.param('bias', nn.initializers.zeros, (self.width,))
    kernel = kernel.reshape(-1, self.width).astype(self.dtype)
    x = patches.astype(self.dtype) @ kernel
    return x + bias.astype(self.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


class PatchEmbedding(nn.Module):
  """Wraps `PatchConvolution`.

  The wrapper gives the parameters the path they have in released checkpoints,
  patch_embedding/Conv_0.

  Attributes:
    width: D, number of output channels.
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix product.
  """

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """Maps patches [..., N, P * P * 3] to [..., N, D]."""
    return PatchConvolution(self.width, self.patch, self.dtype, name='Conv_0')(
        patches
    )


class Tokenizer(nn.Module):
  """Turns patches into tokens.

  Attributes:
    width: D, width of the tokens.
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix product and of the tokens.
  """

  width: int
  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, patches: jax.Array, positions: jax.Array) -> jax.Array:
    """Embeds patches and adds the embeddings of their positions.

    Args:
      patches: float [..., N, P * P * 3], pixels in [0, 1].
      positions: float [N, D] or [..., N, D], the patches' position embeddings.

    Returns:
      The tokens, [..., N, D].
    """
    x = PatchEmbedding(
        self.width, self.patch, self.dtype, name='patch_embedding'
    )(patches)
    shape = (1,) * (x.ndim - positions.ndim) + positions.shape
    return x + positions.reshape(shape).astype(x.dtype)


class VisionTransformer(nn.Module):
  """The blocks of a pre-norm ViT and a final norm.

  Attributes:
    num_layers: number of blocks.
    num_heads: number of attention heads in a block.
    mlp_width: hidden width of the MLP in a block.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass, see
      `layers.rematerialise`.
    scan_layers: whether the blocks are one loop, see `layers.apply_blocks`.
  """

  num_layers: int
  num_heads: int
  mlp_width: int
  dtype: layers.Dtype
  attention: str
  remat: str
  scan_layers: bool = False

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps tokens [B, N, D] to tokens [B, N, D]."""
    block = functools.partial(
        layers.rematerialise(layers.Block, self.remat),
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
    )
    names = [f'layers_{i}' for i in range(self.num_layers)]
    x = layers.apply_blocks(self, block, names, self.scan_layers, x)
    return nn.LayerNorm(dtype=self.dtype, name='LayerNorm_0')(x)
