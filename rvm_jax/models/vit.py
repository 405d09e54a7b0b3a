"""Vision transformers (ViT) over patches of frames, or tubelets of clips."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers
from rvm_jax.models import stacks
from rvm_jax.ops import images


class PatchConvolution(nn.Module):
  """A convolution whose stride is its kernel size, as a matrix product.

  Its inputs are images that are already cut into patches of the kernel's size.

  Attributes:
    width: D, number of output channels.
    patch: P, side of the kernel in pixels.
    dtype: dtype of the matrix product.
    tubelet: L, number of frames that the kernel covers.
  """

  width: int
  patch: int
  dtype: layers.Dtype
  tubelet: int = 1

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """Maps patches [..., N, L * P * P * 3] to [..., N, D]."""

    # The fan-in and fan-out are those of the matrix [L * P * P * 3, D].
    def init_kernel(key, shape):
      flat = layers.XAVIER(key, (patches.shape[-1], self.width))
      return flat.reshape(shape)

    # The released checkpoints store the kernel of a 3-D convolution over one
    # frame, P rows and P columns.
    shape = (self.tubelet, self.patch, self.patch, 3, self.width)
    kernel = self.param('kernel', init_kernel, shape)
    bias = self.param('bias', nn.initializers.zeros, (self.width,), jnp.float32)
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
    tubelet: L, number of frames that a patch spans.
  """

  width: int
  patch: int
  dtype: layers.Dtype
  tubelet: int = 1

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """Maps patches [..., N, L * P * P * 3] to [..., N, D]."""
    return PatchConvolution(
        self.width, self.patch, self.dtype, self.tubelet, name='Conv_0'
    )(patches)


class Tokenizer(nn.Module):
  """Turns patches into tokens.

  Attributes:
    width: D, width of the tokens.
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix product and of the tokens.
    tubelet: L, number of frames that a patch spans.
  """

  width: int
  patch: int
  dtype: layers.Dtype
  tubelet: int = 1

  @nn.compact
  def __call__(self, patches: jax.Array, positions: jax.Array) -> jax.Array:
    """Embeds patches and adds the embeddings of their positions.

    Args:
      patches: float [..., N, L * P * P * 3], pixels in [0, 1].
      positions: float [N, D] or [..., N, D], the patches' position embeddings.

    Returns:
      The tokens, [..., N, D].
    """
    x = PatchEmbedding(
        self.width,
        self.patch,
        self.dtype,
        self.tubelet,
        name='patch_embedding',
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
      `stacks.rematerialise`.
    scan_layers: whether the blocks run in one loop, see
      `stacks.apply_blocks`.
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
        stacks.rematerialise(layers.Block, self.remat),
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
    )
    names = [f'layers_{i}' for i in range(self.num_layers)]
    x = stacks.apply_blocks(self, block, names, self.scan_layers, x)
    return nn.LayerNorm(dtype=self.dtype, name='LayerNorm_0')(x)


class PatchEncoder(nn.Module):
  """A ViT from pixels to features: `Tokenizer`, then `VisionTransformer`.

  It is the encoder of the models that RVM is compared with. It has no CLS token
  and takes any number of patches, such as the visible ones.

  Attributes:
    width: D, width of the tokens.
    num_layers: number of blocks.
    num_heads: number of attention heads in a block.
    mlp_width: hidden width of the MLP in a block.
    patch: P, side of a patch in pixels.
    tubelet: L, number of frames that a patch spans.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass, see
      `stacks.rematerialise`.
    scan_layers: whether the blocks run in one loop, see
      `stacks.apply_blocks`.
  """

  width: int
  num_layers: int
  num_heads: int
  mlp_width: int
  patch: int
  tubelet: int
  dtype: layers.Dtype
  attention: str
  remat: str
  scan_layers: bool

  @nn.compact
  def __call__(self, patches: jax.Array, positions: jax.Array) -> jax.Array:
    """Maps patches [B, N, L * P * P * 3] to features [B, N, D].

    Args:
      patches: uint8, or float in [0, 1], the pixels of the patches.
      positions: float [N, D] or [B, N, D], the patches' position embeddings.
    """
    tokens = Tokenizer(
        self.width, self.patch, self.dtype, self.tubelet, name='tokenizer'
    )(images.to_float(patches), positions)
    return VisionTransformer(
        self.num_layers,
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
        self.remat,
        self.scan_layers,
        name='transformer',
    )(tokens)


def append_masks(
    shown: jax.Array,
    mask_token: jax.Array,
    shown_positions: jax.Array,
    hidden_positions: jax.Array,
) -> jax.Array:
  """Returns the tokens of visible patches followed by those of hidden ones.

  Args:
    shown: [..., V, E], encodings of the visible patches, mapped to E, the width
      of the decoder.
    mask_token: [1, E], the token of each hidden patch.
    shown_positions: [..., V, E], position embeddings of the visible patches.
    hidden_positions: [..., M, E], position embeddings of M hidden patches.

  Returns:
    [..., V + M, E], each token with its position embedding added.
  """
  lead = (1,) * (shown.ndim - 2)
  masks = mask_token.reshape(*lead, *mask_token.shape) + hidden_positions
  return jnp.concatenate(
      [
          shown + shown_positions.astype(shown.dtype),
          masks.astype(shown.dtype),
      ],
      axis=-2,
  )
