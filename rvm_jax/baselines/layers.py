"""The transformer block of the encoders that RVM is compared with.

It shares no code with `rvm_jax.models`, so that these encoders stay as they are
when RVM changes.
"""

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax

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
    x += self._scale('scale1', y)
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
    gain = self.param(name, nn.initializers.ones, (x.shape[-1],))
    return x * gain.astype(x.dtype).reshape(1, 1, -1)


def embed_patches(
    x: jax.Array, width: int, size: tuple[int, ...], dtype: Dtype
) -> jax.Array:
  """Maps each patch of images or clips to a token, with a convolution.

  It must be called in the compact method of a module, which then has the
  parameters `patches/kernel` and `patches/bias`.

  Args:
    x: images [B, H, W, 3] or clips [B, T, H, W, 3].
    width: D, width of the tokens.
    size: for images (P, P), the sides of a patch in pixels; for clips (frames
      of a tubelet, P, P).
    dtype: dtype of the convolution.

  Returns:
    Tokens, [B, h, w, D] or [B, t, h, w, D].

  Raises:
    ValueError: the images or clips cannot be cut into whole patches.
  """
  rows, columns = x.shape[-3:-1]
  patches.grid(rows, columns, size[-1])
  if len(size) == 3 and (not x.shape[1] or x.shape[1] % size[0]):
    raise ValueError(
        f'the number of frames must be a positive multiple of {size[0]}, the'
        f' frames that a token covers, got {x.shape[1]}'
    )
  return nn.Conv(
      width, size, strides=size, padding='VALID', dtype=dtype, name='patches'
  )(x)
