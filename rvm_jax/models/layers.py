"""The transformer blocks of the encoder, the core and the decoder.

The names of submodules are those of the released checkpoints, so that the path
of a parameter in the tree is its key in such a file.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import stacks
from rvm_jax.ops import attention

Dtype = Any

# Parameters are float32 even if JAX's default is float64 (`jax_enable_x64`), so
# that checkpoints can be read then.
XAVIER = nn.initializers.xavier_uniform(dtype=jnp.float32)

# Flax collection in which `Attention` stores its weights, if it is mutable.
WEIGHTS = 'attention'


class MLP(nn.Module):
  """Two dense layers with a GELU (tanh approximation) between them.

  Attributes:
    width: hidden width, which is the number of outputs of the first layer.
    dtype: dtype of the matrix products.
  """

  width: int
  dtype: Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps tokens [B, N, D] to [B, N, D]."""
    dense = functools.partial(nn.Dense, dtype=self.dtype, kernel_init=XAVIER)
    hidden = dense(self.width, name='dense_in')(x)
    hidden = nn.gelu(hidden, approximate=True)
    return dense(x.shape[-1], name='dense_out')(hidden)


class HeadsDense(nn.Module):
  """A dense layer whose inputs or outputs are split into attention heads.

  The parameters have an axis of heads, as in the released checkpoints. The
  activations have none: the channels of all heads lie side by side, and the
  layer is one matrix product. An axis of heads in activations would cost TPUs
  memory, because they pad the last axis of an array to a multiple of 128.

  Attributes:
    inputs: shape of the inputs of a token, such as (D,) or (heads, C), where C
      is the width of a head.
    features: shape of the outputs of a token, such as (heads, C) or (D,).
    dtype: dtype of the matrix product.
    has_bias_gradient: whether the gradient of the bias is computed; with False
      it is zero.
  """

  inputs: tuple[int, ...]
  features: tuple[int, ...]
  dtype: Dtype
  has_bias_gradient: bool = True

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, N, inputs] to [B, N, features], each flattened to one axis."""
    flat = math.prod(self.inputs), math.prod(self.features)

    def init_kernel(rng, shape):
      return XAVIER(rng, flat).reshape(shape)

    kernel = self.param('kernel', init_kernel, self.inputs + self.features)
    bias = self.param('bias', nn.initializers.zeros, self.features, jnp.float32)
    if not self.has_bias_gradient:
      bias = jax.lax.stop_gradient(bias)
    x, kernel, bias = nn.dtypes.promote_dtype(
        x, kernel.reshape(flat), bias.reshape(1, 1, -1), dtype=self.dtype
    )
    return x @ kernel + bias


class Attention(nn.Module):
  """Multi-head attention of Q tokens to a context of M tokens.

  If the collection `WEIGHTS` is mutable, the weight of each token of the
  context for each query is stored there as 'weights', float32 [B, heads, Q, M].

  Attributes:
    num_heads: number of heads. It must divide D.
    dtype: dtype of the matrix products.
    implementation: implementation of attention, see `ops.attention.attend`.
  """

  num_heads: int
  dtype: Dtype
  implementation: str

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    """Lets each token of `x` [B, Q, D] attend to `context` [B, M, D].

    Args:
      x: [B, Q, D], the tokens that attend.
      context: [B, M, D], the tokens that they attend to.

    Returns:
      [B, Q, D].
    """
    width = x.shape[-1]
    heads = (self.num_heads, width // self.num_heads)
    # The query is [B, Q, D], key and value are [B, M, D], heads side by side.
    # The bias of the keys adds the same number to all scores of a query, which
    # does not change their softmax. So the gradient of this bias is zero, and
    # need not be computed.
    query, key, value = (
        HeadsDense((width,), heads, self.dtype, name != 'key', name=name)(
            tokens
        )
        for name, tokens in (('query', x), ('key', context), ('value', context))
    )
    if self.is_mutable_collection(WEIGHTS):
      weights = attention.weigh(query, key, self.num_heads)
      self.sow(WEIGHTS, 'weights', weights)
    mixed = attention.attend(
        query, key, value, self.num_heads, self.implementation
    )
    return HeadsDense(heads, (width,), self.dtype, name='out')(mixed)


class Block(nn.Module):
  """Pre-norm ViT block: self-attention, then an MLP.

  Attributes:
    num_heads: number of attention heads.
    mlp_width: hidden width of the MLP.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
  """

  num_heads: int
  mlp_width: int
  dtype: Dtype
  attention: str

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps tokens [B, N, D] to [B, N, D]."""
    norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
    y = norm(name='attention_norm')(x)
    x = x + Attention(
        self.num_heads, self.dtype, self.attention, name='attention'
    )(y, y)
    y = norm(name='mlp_norm')(x)
    return x + MLP(self.mlp_width, self.dtype, name='mlp')(y)


class CrossBlock(nn.Module):
  """Pre-norm block: cross-attention, an MLP, self-attention, in this order.

  There are K groups of tokens, such as the target frames of a clip. All attend
  to the same context, whose keys and values are computed once. In
  self-attention a token attends only to those of its own group.

  Attributes:
    num_heads: number of attention heads.
    mlp_width: hidden width of the MLP.
    dtype: dtype of the matrix products.
    attention: implementation of attention, see `ops.attention.attend`.
  """

  num_heads: int
  mlp_width: int
  dtype: Dtype
  attention: str

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    """Maps tokens [B, K, N, D] to [B, K, N, D].

    Args:
      x: [B, K, N, D], K groups of N tokens.
      context: [B, M, D], the tokens that all groups attend to.
    """
    batch, groups, size, width = x.shape
    norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
    attend = functools.partial(
        Attention, self.num_heads, self.dtype, self.attention
    )
    # For cross-attention and the MLP all groups are one sequence of tokens.
    x = x.reshape(batch, groups * size, width)
    y = norm(name='ca_attention_norm')(x)
    x = x + attend(name='ca_attention')(y, context)
    y = norm(name='mlp_norm')(x)
    x = x + MLP(self.mlp_width, self.dtype, name='mlp')(y)
    # For self-attention each group is an entry of the batch.
    x = x.reshape(batch * groups, size, width)
    y = norm(name='attention_norm')(x)
    x = x + attend(name='attention')(y, y)
    return x.reshape(batch, groups, size, width)


class CrossTransformer(nn.Module):
  """A stack of `CrossBlock`s and a final norm.

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
  dtype: Dtype
  attention: str
  remat: str
  scan_layers: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    """Maps tokens [B, K, N, D] to [B, K, N, D].

    Args:
      x: [B, K, N, D], K groups of N tokens.
      context: [B, M, D], the tokens that all groups attend to.
    """
    block = functools.partial(
        stacks.rematerialise(CrossBlock, self.remat),
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
    )
    names = name_cross_blocks(self.num_layers)
    x = stacks.apply_blocks(self, block, names, self.scan_layers, x, context)
    return nn.LayerNorm(dtype=self.dtype, name='output_norm')(x)


def name_cross_blocks(num_layers: int) -> list[str]:
  """Returns the names of the blocks of a `CrossTransformer`."""
  return [f'xa_blocks_{i}' for i in range(num_layers)]
