"""The transformer blocks of the encoder, the core and the decoder.

Module names are those of the released checkpoints: a parameter's path in the
tree is its key in the file.
"""

import functools
from typing import Any

import flax.linen as nn
import jax

from rvm_jax.ops import attention

Dtype = Any

XAVIER = nn.initializers.xavier_uniform()

# Logical axes of activations. The constraints that use them hold the compiler
# to the rules of `training.mesh` and do nothing without a mesh: left alone, it
# carries the parameters' shardings into the activations, and every device then
# holds activations of the whole batch.
TOKENS = ('batch', 'tokens', 'embed')
TARGETS = ('batch', 'targets', 'tokens', 'embed')
HEADS = ('batch', 'tokens', 'heads', 'head_dim')
HIDDEN = ('batch', 'tokens', 'mlp')

# Logical axes of parameters, by the end of their path in the tree.
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
  """Dense, GELU (tanh approximation), dense."""

  width: int
  dtype: Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    dense = functools.partial(nn.Dense, dtype=self.dtype, kernel_init=XAVIER)
    hidden = dense(self.width, name='dense_in')(x)
    hidden = nn.with_logical_constraint(hidden, HIDDEN)
    hidden = nn.gelu(hidden, approximate=True)
    return dense(x.shape[-1], name='dense_out')(hidden)


class Attention(nn.Module):
  """Multi-head attention from `x` [B, Q, D] to `context` [B, M, D].

  `implementation` is that of `ops.attention.attend`.
  """

  num_heads: int
  dtype: Dtype
  implementation: str

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    width = x.shape[-1]
    project = functools.partial(
        nn.DenseGeneral,
        features=(self.num_heads, width // self.num_heads),
        dtype=self.dtype,
        kernel_init=XAVIER,
    )
    query, key, value = (
        nn.with_logical_constraint(x, HEADS)
        for x in (
            project(name='query')(x),  # [B, Q, heads, D / heads]
            project(name='key')(context),  # [B, M, heads, D / heads]
            project(name='value')(context),
        )
    )
    mixed = attention.attend(query, key, value, self.implementation)
    return nn.DenseGeneral(
        width, axis=(-2, -1), dtype=self.dtype, kernel_init=XAVIER, name='out'
    )(mixed)


class Block(nn.Module):
  """Pre-norm ViT block: self-attention, MLP."""

  num_heads: int
  mlp_width: int
  dtype: Dtype
  attention: str

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:  # [B, N, D]
    norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
    y = norm(name='attention_norm')(x)
    x += Attention(
        self.num_heads, self.dtype, self.attention, name='attention'
    )(y, y)
    y = norm(name='mlp_norm')(x)
    x += MLP(self.mlp_width, self.dtype, name='mlp')(y)
    return nn.with_logical_constraint(x, TOKENS)


class CrossBlock(nn.Module):
  """Pre-norm block: cross-attention, MLP, self-attention, in this order.

  The K groups of queries of one batch entry share a context: its keys and
  values are computed once, and each group attends to itself alone.
  """

  num_heads: int
  mlp_width: int
  dtype: Dtype
  attention: str

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
    batch, groups, size, width = x.shape  # context: [B, M, D]
    norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
    attend = functools.partial(
        Attention, self.num_heads, self.dtype, self.attention
    )
    x = x.reshape(batch, groups * size, width)
    y = norm(name='ca_attention_norm')(x)
    x += attend(name='ca_attention')(y, context)
    y = norm(name='mlp_norm')(x)
    x += MLP(self.mlp_width, self.dtype, name='mlp')(y)
    x = x.reshape(batch * groups, size, width)
    y = norm(name='attention_norm')(x)
    x += attend(name='attention')(y, y)
    x = x.reshape(batch, groups, size, width)
    return nn.with_logical_constraint(x, TARGETS)


class CrossTransformer(nn.Module):
  """A stack of `CrossBlock`s and a final norm."""

  num_layers: int
  num_heads: int
  mlp_width: int
  dtype: Dtype
  attention: str
  remat: str

  @nn.compact
  def __call__(self, x: jax.Array, context: jax.Array) -> jax.Array:
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


REMAT_POLICIES = {
    'dots': jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    'full': jax.checkpoint_policies.nothing_saveable,
}


def rematerialise(block: type[nn.Module], remat: str) -> type[nn.Module]:
  """`block`, recomputed in the backward pass as far as `remat` says.

  'none' keeps every intermediate value, 'dots' the results of the dense
  layers (not the attention scores), 'full' only what enters the block.
  """
  if remat == 'none':
    return block
  if remat not in REMAT_POLICIES:
    raise ValueError(
        f'remat must be one of none, {", ".join(REMAT_POLICIES)}, got {remat!r}'
    )
  return nn.remat(block, policy=REMAT_POLICIES[remat])
