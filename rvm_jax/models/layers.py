"""The transformer blocks of the encoder, the core and the decoder.

The names of submodules are those of the released checkpoints, so that the path
of a parameter in the tree is its key in such a file.
"""

from collections.abc import Callable, Sequence
import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.ops import attention

Dtype = Any

XAVIER = nn.initializers.xavier_uniform()


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
  """A dense layer to or from heads, computed as one flat product.

  The parameters have an axis of heads, as in the released checkpoints; the
  activations do not. An axis of heads in activations would cost accelerators
  memory, because the last axis of an array is filled up to 128 lanes.

  Attributes:
    inputs: shape of the inputs of a token, such as (D,) or (heads, C).
    features: shape of the outputs of a token, such as (heads, C) or (D,).
    dtype: dtype of the matrix product.
    has_bias_gradient: whether the bias has a gradient. It is zero otherwise.
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
    bias = self.param('bias', nn.initializers.zeros, self.features)
    if not self.has_bias_gradient:
      bias = jax.lax.stop_gradient(bias)
    x, kernel, bias = nn.dtypes.promote_dtype(
        x, kernel.reshape(flat), bias.reshape(1, 1, -1), dtype=self.dtype
    )
    return x @ kernel + bias


class Attention(nn.Module):
  """Multi-head attention.

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
    """Lets each token of `x` [B, Q, D] attend to `context` [B, M, D]."""
    width = x.shape[-1]
    heads = (self.num_heads, width // self.num_heads)
    # The query is [B, Q, D], key and value are [B, M, D], heads side by side.
    # The bias of the keys adds the same to all scores of a query, which the
    # softmax takes away again: its gradient is zero, and need not be summed up.
    query, key, value = (
        HeadsDense((width,), heads, self.dtype, name != 'key', name=name)(
            tokens
        )
        for name, tokens in (('query', x), ('key', context), ('value', context))
    )
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
    x += Attention(
        self.num_heads, self.dtype, self.attention, name='attention'
    )(y, y)
    y = norm(name='mlp_norm')(x)
    x += MLP(self.mlp_width, self.dtype, name='mlp')(y)
    return x


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
    # Cross-attention: all groups are one sequence of queries.
    x = x.reshape(batch, groups * size, width)
    y = norm(name='ca_attention_norm')(x)
    x += attend(name='ca_attention')(y, context)
    y = norm(name='mlp_norm')(x)
    x += MLP(self.mlp_width, self.dtype, name='mlp')(y)
    # Self-attention: each group is an entry of the batch.
    x = x.reshape(batch * groups, size, width)
    y = norm(name='attention_norm')(x)
    x += attend(name='attention')(y, y)
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
      `rematerialise`.
    scan_layers: whether the blocks are one loop, see `apply_blocks`.
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
        rematerialise(CrossBlock, self.remat),
        self.num_heads,
        self.mlp_width,
        self.dtype,
        self.attention,
    )
    names = [f'xa_blocks_{i}' for i in range(self.num_layers)]
    x = apply_blocks(self, block, names, self.scan_layers, x, context)
    return nn.LayerNorm(dtype=self.dtype, name='output_norm')(x)


def apply_blocks(
    parent: nn.Module,
    make_block: Callable[..., nn.Module],
    names: Sequence[str],
    scan_layers: bool,
    x: jax.Array,
    *context: jax.Array,
) -> jax.Array:
  """Applies blocks of one kind to tokens, one after the other.

  As a loop they are compiled once and not once for each block. The parameters
  are the same in either case, one subtree for each block: those of a loop are
  stacked before it begins.

  Args:
    parent: module in whose compact method this is called, which the blocks'
      parameters belong to.
    make_block: function that makes a block, given the argument `name` or
      `parent`.
    names: names of the blocks.
    scan_layers: whether the blocks are one loop (`jax.lax.scan`).
    x: tokens.
    *context: further arguments of each block.

  Returns:
    The tokens after the last block.
  """
  # Initialisation is unrolled, so that initial values do not depend on it.
  if not scan_layers or parent.is_initializing():
    for name in names:
      x = make_block(name=name)(x, *context)
    return x
  params = [parent.variables['params'][name] for name in names]
  block = make_block(parent=None)

  def apply(x, params):
    return block.apply({'params': params}, x, *context), None

  x, _ = jax.lax.scan(apply, x, jax.tree.map(lambda *x: jnp.stack(x), *params))
  return x


# The results of the kernel for TPUs, and what its backward pass needs besides.
_ATTENTION = jax.checkpoint_policies.save_only_these_names(*attention.RESIDUALS)

# JAX's policies for the values of `remat`, see `rematerialise`.
REMAT_POLICIES = {
    'dots': jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable, _ATTENTION
    ),
    'attention': jax.checkpoint_policies.save_from_both_policies(
        _ATTENTION, attention.is_cudnn_forward
    ),
    'full': jax.checkpoint_policies.nothing_saveable,
}


def rematerialise(block: type[nn.Module], remat: str) -> type[nn.Module]:
  """Wraps a class so that its backward pass recomputes values to save memory.

  Args:
    block: class of the block.
    remat: how much of the forward pass is kept for the backward pass; the rest
      is computed again. 'none' keeps everything (nothing is recomputed). 'dots'
      keeps the outputs of dense layers, and those of attention by 'pallas_tpu';
      attention by 'cudnn' and 'xla' is computed again. 'attention' keeps the
      outputs of attention by 'pallas_tpu' and 'cudnn', so that only dense
      layers and norms are computed again; with 'xla' it keeps no more than
      'full'. 'full' keeps only the inputs of the block (everything is
      recomputed).

  Returns:
    The class, wrapped; `block` itself for 'none'.

  Raises:
    ValueError: `remat` is none of these.
  """
  if remat == 'none':
    return block
  if remat not in REMAT_POLICIES:
    raise ValueError(
        f'remat must be one of none, {", ".join(REMAT_POLICIES)}, got {remat!r}'
    )
  return nn.remat(block, policy=REMAT_POLICIES[remat])
