"""The attentive readout of RVM and 4DS: one cross-attention and an MLP.

A parameter's path in the tree is its key in the released checkpoints.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers
from rvm_jax.ops import attention

_SMALL = nn.initializers.normal(0.02)


class MLP(nn.Module):
  """Dense of four times the width, GELU (tanh approximation), dense."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    width = x.shape[-1]
    hidden = nn.gelu(nn.Dense(4 * width)(x), approximate=True)
    return nn.Dense(width)(hidden)


class TemporalEmbedding(nn.Module):
  """Adds a learned vector for each step, the third axis from the end."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:  # [B, T, N, C]
    shape = (x.shape[-3], 1, x.shape[-1])
    return x + self.param('embeddings', _SMALL, shape)[None]


class AttentionReadout(nn.Module):
  """Queries that attend once to the tokens of all frames.

  Attributes:
    num_classes: K, numbers read out for each query.
    num_params: width of the readout, over all heads; the released name.
    num_heads: of the attention.
    num_queries: Q, learned queries; not used where queries are given.
    match_vjepa_implementation: whether tokens are normalised, keys and values
      have biases, and what was attended to is added to the query and goes
      through an MLP. Without, K numbers are read straight off the attention.
    query_chunk: queries that attend at a time, a divisor of Q, where the scores
      of all of them do not fit into memory; the backward pass computes them
      again. None is all at once.
  """

  num_classes: int
  num_params: int
  num_heads: int
  num_queries: int = 1
  match_vjepa_implementation: bool = True
  query_chunk: int | None = None

  @nn.compact
  def __call__(
      self, features: jax.Array, queries: jax.Array | None = None
  ) -> jax.Array:
    """Reads the queries' answers off the features.

    Args:
      features: float [B, T, N, C].
      queries: float [B, Q, E], projected to the width, instead of the learned.

    Returns:
      float32 [B, Q, K], linear.

    Raises:
      ValueError: sizes that do not divide.
    """
    if self.num_params % self.num_heads:
      raise ValueError(
          f'num_params={self.num_params} must be a multiple of'
          f' num_heads={self.num_heads}'
      )
    x = layers.shard_batch(features.astype(jnp.float32))
    if self.match_vjepa_implementation:
      x = nn.LayerNorm(name='LayerNorm_0')(x)
    x = TemporalEmbedding(name='temporal_posenc')(x)
    x = x.reshape(x.shape[0], -1, x.shape[-1])  # [B, T * N, C]
    by_head = (self.num_heads, self.num_params // self.num_heads)
    project = functools.partial(
        nn.DenseGeneral, by_head, use_bias=self.match_vjepa_implementation
    )
    if queries is None:
      query = self.param('query', _SMALL, (self.num_queries, *by_head))
      query = jnp.broadcast_to(query, (x.shape[0], *query.shape))
    else:
      query = nn.DenseGeneral(by_head, name='query_embedding')(queries)
    token = self._attend(
        query,  # [B, Q, heads, num_params / heads]
        project(name='key_embedding')(x),
        project(name='value_embedding')(x),
    )
    token = token.reshape(*token.shape[:2], -1)  # [B, Q, num_params]
    if self.match_vjepa_implementation:
      query = query.reshape(token.shape)
      token = query + nn.Dense(self.num_params, name='Dense_0')(token)
      token += MLP(name='MLP_0')(nn.LayerNorm(name='LayerNorm_1')(token))
    token = layers.shard_batch(token)
    return nn.Dense(self.num_classes, name='Dense_1')(token)

  def _attend(self, query, key, value):
    attend = functools.partial(attention.attend, implementation='xla')
    if self.query_chunk is None:
      return attend(query, key, value)
    batch, size, *by_head = query.shape
    if self.query_chunk < 1 or size % self.query_chunk:
      raise ValueError(
          f'query_chunk={self.query_chunk} must divide the {size} queries'
      )
    chunks = query.reshape(batch, -1, self.query_chunk, *by_head).swapaxes(0, 1)
    mixed = jax.lax.map(
        jax.checkpoint(lambda chunk: attend(chunk, key, value)), chunks
    )  # [chunks, B, query_chunk, heads, num_params / heads]
    return mixed.swapaxes(0, 1).reshape(query.shape)
