"""The transformer block of the encoders that RVM is compared with.

It shares no code with `rvm_jax.models`, so that these encoders stay as they are
when RVM changes.
"""

from collections.abc import Callable
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.ops import attention
from rvm_jax.ops import patches

Dtype = Any

# A function that rotates queries or keys, [B, N, heads, C], and keeps their
# shape. C is the number of channels of a head.
Rotation = Callable[[jax.Array], jax.Array]

# Names of the dense layers of a block that may have a bias; 'mlp' stands for
# all layers of the MLP.
BIASES = ('query', 'key', 'value', 'out', 'mlp')


class LayerNorm(nn.LayerNorm):
  """Layer normalisation with the mean subtracted before squares are taken.

  PyTorch does the same. Flax's default, the difference of two means, loses
  digits where the mean is large.
  """

  use_fast_variance: bool = False


class Attention(nn.Module):
  """Multi-head self-attention.

  Attributes:
    num_heads: number of heads, a divisor of D.
    biases: names of the dense layers that have a bias, out of `BIASES`.
    dtype: dtype of the matrix products.
    implementation: implementation of attention, see `ops.attention.attend`.
  """

  num_heads: int
  biases: tuple[str, ...]
  dtype: Dtype
  implementation: str

  @nn.compact
  def __call__(self, x: jax.Array, rotate: Rotation | None = None) -> jax.Array:
    """Lets tokens attend to each other.

    Args:
      x: tokens, [B, N, D].
      rotate: function that rotates queries and keys by their positions, or
        None.

    Returns:
      Tokens, [B, N, D].
    """
    width = x.shape[-1]

    def dense(name, x):
      return nn.Dense(width, name in self.biases, self.dtype, name=name)(x)

    query, key, value = (dense(name, x) for name in ('query', 'key', 'value'))
    if rotate is not None:
      heads = (*x.shape[:2], self.num_heads, width // self.num_heads)
      query, key = (
          rotate(y.reshape(heads)).reshape(x.shape) for y in (query, key)
      )
    mixed = attention.attend(
        query, key, value, self.num_heads, self.implementation
    )
    return dense('out', mixed)


class MLP(nn.Module):
  """A perceptron with one hidden layer: plain with GELU, or gated with SiLU.

  Attributes:
    width: hidden width.
    gated: whether the MLP computes down(silu(gate(x)) * up(x)), which is
      SwiGLU. Otherwise it computes down(gelu(up(x))).
    has_bias: whether the dense layers have biases.
    dtype: dtype of the matrix products.
  """

  width: int
  gated: bool
  has_bias: bool
  dtype: Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps tokens [B, N, D] to [B, N, D]."""
    dense = functools.partial(
        nn.Dense, use_bias=self.has_bias, dtype=self.dtype
    )
    hidden = dense(self.width, name='up')(x)
    if self.gated:
      hidden *= nn.silu(dense(self.width, name='gate')(x))
    else:
      # Flax's default, an approximation by tanh, changes the third decimal.
      hidden = nn.gelu(hidden, approximate=False)
    return dense(x.shape[-1], name='down')(hidden)


class Block(nn.Module):
  """Pre-norm ViT block: self-attention, then an MLP.

  Attributes:
    num_heads: number of attention heads.
    mlp_width: hidden width of the MLP.
    epsilon: what the norms add to the variance.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
    biases: names of the dense layers that have a bias, out of `BIASES`.
    layer_scale: whether a parameter scales each channel of the outputs of
      attention and MLP (LayerScale).
    gated: whether the MLP is gated, see `MLP`.
  """

  num_heads: int
  mlp_width: int
  epsilon: float
  dtype: Dtype
  attention: str
  biases: tuple[str, ...] = BIASES
  layer_scale: bool = False
  gated: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, rotate: Rotation | None = None) -> jax.Array:
    """Applies the block to tokens.

    Args:
      x: tokens, [B, N, D].
      rotate: function that rotates queries and keys by their positions, or
        None.

    Returns:
      Tokens, [B, N, D].
    """
    norm = functools.partial(LayerNorm, epsilon=self.epsilon, dtype=self.dtype)
    y = norm(name='norm1')(x)
    y = Attention(
        self.num_heads,
        self.biases,
        self.dtype,
        self.attention,
        name='attention',
    )(y, rotate)
    x = x + self._scale('scale1', y)
    y = norm(name='norm2')(x)
    y = MLP(
        self.mlp_width,
        self.gated,
        'mlp' in self.biases,
        self.dtype,
        name='mlp',
    )(y)
    return x + self._scale('scale2', y)

  def _scale(self, name: str, x: jax.Array) -> jax.Array:
    """Multiplies each channel by a parameter if `layer_scale` is set."""
    if not self.layer_scale:
      return x
    gain = self.param(name, nn.initializers.ones, (x.shape[-1],), jnp.float32)
    return x * gain.astype(x.dtype).reshape(1, 1, -1)


class PatchEmbedding(nn.Module):
  """Maps each patch of frames, or tubelet of clips, to a token.

  This is a convolution whose windows do not overlap. It is computed as a
  product of matrices, because a TPU pads the three channels of each pixel to
  128 before a convolution.

  Attributes:
    width: D, width of the tokens.
    size: (P, P), the sides of a patch in pixels; or (L, P, P) for tubelets of L
      frames.
    dtype: dtype of the product.
  """

  width: int
  size: tuple[int, ...]
  dtype: Dtype

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    """Maps frames [B, T, H, W, 3] to tokens [B, T / L, h, w, D].

    Raises:
      ValueError: the frames have another shape, or cannot be cut into whole
        patches or tubelets.
    """
    if frames.ndim != 5 or frames.shape[-1] != 3:
      raise ValueError(
          f'frames must be [B, T, H, W, 3], got the shape {frames.shape}'
      )
    # A patch has no length in `size`; the product of nothing is 1.
    *lengths, patch, _ = self.size
    grid = patches.grid(frames.shape[2], frames.shape[3], patch)
    x = patches.tubelets(frames, patch, math.prod(lengths)).astype(self.dtype)
    shape = (*self.size, 3, self.width)
    init = nn.initializers.lecun_normal()
    kernel = self.param('kernel', init, shape, jnp.float32)
    bias = self.param('bias', nn.initializers.zeros, (self.width,), jnp.float32)
    x = x @ kernel.reshape(-1, self.width).astype(self.dtype)
    x = x + bias.astype(self.dtype).reshape(1, 1, 1, -1)
    return x.reshape(*x.shape[:2], *grid, self.width)
