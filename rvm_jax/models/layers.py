"""The transformer blocks of the encoder, the core and the decoder.

The names of submodules are those of the released checkpoints, so that the path
of a parameter in the tree is its key in such a file.
"""

import functools
import math
from typing import Any

import flax.linen as nn
import jax

from rvm_jax.ops import attention

Dtype = Any

XAVIER = nn.initializers.xavier_uniform()

# Logical axes of activations, for `nn.with_logical_constraint`, which makes the
# compiler split an activation by the rules of `training.mesh`. Where no rules
# are set, as in inference, the constraint does nothing. In training it is
# needed, because the compiler would otherwise derive the shardings of
# activations from those of parameters, and every device would hold the
# activations of the whole batch.
TOKENS = ('batch', 'tokens', 'embed')
TARGETS = ('batch', 'targets', 'tokens', 'embed')
HIDDEN = ('batch', 'tokens', 'mlp')

# Logical axes of the parameters, by the end of their path in the tree: see
# `training.mesh`.
PARAMETER_AXES = {
    '/query/kernel': ('embed', 'heads', 'head_dim'),
    '/query/bias': ('heads', 'head_dim'),
    '/key/kernel': ('embed', 'heads', 'head_dim'),
    '/key/bias': ('heads', 'head_dim'),
    '/value/kernel': ('embed', 'heads', 'head_dim'),
    '/value/bias': ('heads', 'head_dim'),
    '/out/kernel': ('heads', 'head_dim', 'embed'),
    '/out/bias': ('embed',),
    '/dense_in/kernel': ('embed', 'mlp'),
    '/dense_in/bias': ('mlp',),
    '/dense_out/kernel': ('mlp', 'embed'),
    '/dense_out/bias': ('embed',),
    'norm/scale': ('embed',),
    'norm/bias': ('embed',),
}


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
    hidden = nn.with_logical_constraint(hidden, HIDDEN)
    hidden = nn.gelu(hidden, approximate=True)
    return dense(x.shape[-1], name='dense_out')(hidden)


class HeadsDense(nn.Module):
  """A dense layer to or from heads, computed as one flat product.

  The parameters have an axis of heads, as in the released checkpoints; the
  activations do not. An axis of heads in activations would cost accelerators
  memory, because the last axis of an array is filled up to 128 lanes.

  Attributes:
    features: shape of the outputs of a token, such as (heads, C) or (D,).
    inputs: shape of the inputs of a token, such as (D,) or (heads, C).
    dtype: dtype of the matrix product.
  """

  inputs: tuple[int, ...]
  features: tuple[int, ...]
  dtype: Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, N, inputs] to [B, N, features], each flattened to one axis."""
    flat = math.prod(self.inputs), math.prod(self.features)

    def init_kernel(rng, shape):
      return XAVIER(rng, flat).reshape(shape)

    kernel = self.param('kernel', init_kernel, self.inputs + self.features)
    bias = self.param('bias', nn.initializers.zeros, self.features)
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
    query, key, value = (
        HeadsDense((width,), heads, self.dtype, name=name)(tokens)
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
    return nn.with_logical_constraint(x, TOKENS)


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
    x = x.reshape(batch, groups, size, width)
    return nn.with_logical_constraint(x, TARGETS)


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
  """

  num_layers: int
  num_heads: int
  mlp_width: int
  dtype: Dtype
  attention: str
  remat: str

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    """Maps tokens [B, K, N, D] to [B, K, N, D].

    Args:
      x: [B, K, N, D], K groups of N tokens.
      context: [B, M, D], the tokens that all groups attend to.
    """
    block = rematerialise(CrossBlock, self.remat)
    for i in range(self.num_layers):
      x = block(
          self.num_heads,
          self.mlp_width,
          self.dtype,
          self.attention,
          name=f'xa_blocks_{i}',
      )(x, context)
    return nn.LayerNorm(dtype=self.dtype, name='output_norm')(x)


# The results of attention and what its backward pass needs beside them.
_ATTENTION = jax.checkpoint_policies.save_only_these_names(*attention.RESIDUALS)

# JAX's policies for the values of `remat`, see `rematerialise`.
REMAT_POLICIES = {
    'dots': jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable, _ATTENTION
    ),
    'attention': _ATTENTION,
    'full': jax.checkpoint_policies.nothing_saveable,
}


def rematerialise(block: type[nn.Module], remat: str) -> type[nn.Module]:
  """Wraps a class so that its backward pass recomputes values to save memory.

  Args:
    block: class of the block.
    remat: how much of the forward pass is kept for the backward pass; the rest
      is computed again. 'none' keeps everything (nothing is recomputed). 'dots'
      keeps the outputs of dense layers and of attention, but no scores.
      'attention' keeps the outputs of attention, so that only dense layers and
      norms are computed again. 'full' keeps only the inputs of the block
      (everything is recomputed).

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
