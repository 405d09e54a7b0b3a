"""The attentive readout of RVM and 4DS: one cross-attention and an MLP.

It reproduces the released readout module, models/readout.py in
github.com/google-deepmind/representations4d. The path of a parameter in the
tree is its key in the released checkpoints.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.ops import attention

_NORMAL = nn.initializers.normal(0.02, jnp.float32)


class ReadoutMLP(nn.Module):
  """Two dense layers with tanh-GELU between, the first four times as wide."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps float [..., C] to float [..., C]."""
    width = x.shape[-1]
    hidden = nn.gelu(nn.Dense(4 * width)(x), approximate=True)
    return nn.Dense(width)(hidden)


class TemporalEmbedding(nn.Module):
  """Adds a learned vector to each time step, the third axis from the end."""

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps float [B, T, N, C] to float [B, T, N, C]."""
    shape = (x.shape[-3], 1, x.shape[-1])
    return x + self.param('embeddings', _NORMAL, shape)[None]


class AttentionReadout(nn.Module):
  """Lets queries attend once to the tokens of all frames, and reads them out.

  Attributes:
    num_classes: number of outputs for each query, K.
    num_params: width of the readout, over all attention heads. The name is that
      of the released module; it is not a number of parameters.
    num_heads: number of attention heads, a divisor of `num_params`.
    num_queries: number of learned queries, Q. It is not used where queries are
      passed to the call.
    match_vjepa_implementation: if True, tokens are normalised, keys and values
      have biases, and the attention's result is added to the query and passed
      through an MLP. If False, the outputs are a linear function of the
      attention's result.
    query_chunk: number of queries that attend at a time, a divisor of Q. Use it
      if the attention scores of all queries do not fit into memory; the
      backward pass then computes the scores again. By default all queries
      attend at once.
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
    """Reads K numbers for each query off the features.

    Args:
      features: C channels of each of N tokens of each frame, float
        [B, T, N, C].
      queries: vectors of any width E, float [B, Q, E], which a dense layer
        projects to the readout's width. None uses the learned queries.

    Returns:
      float32 [B, Q, K], without a nonlinearity.

    Raises:
      ValueError: `num_params` is not a multiple of `num_heads`, or Q not a
        multiple of `query_chunk`.
    """
    if self.num_params % self.num_heads:
      raise ValueError(
          f'num_params={self.num_params} must be a multiple of'
          f' num_heads={self.num_heads}'
      )
    # Tokens of all frames, each marked with its time step: [B, T * N, C].
    x = nn.with_logical_constraint(
        features.astype(jnp.float32), ('batch', None, 'tokens', None)
    )
    if self.match_vjepa_implementation:
      x = nn.LayerNorm(name='LayerNorm_0')(x)
    x = TemporalEmbedding(name='temporal_posenc')(x)
    x = x.reshape(x.shape[0], -1, x.shape[-1])

    # Queries by attention head, [B, Q, num_heads, num_params / num_heads].
    # Learned queries are not projected, as in the released module.
    by_head = (self.num_heads, self.num_params // self.num_heads)
    project = functools.partial(
        nn.DenseGeneral, by_head, use_bias=self.match_vjepa_implementation
    )
    if queries is None:
      query = self.param('query', _NORMAL, (self.num_queries, *by_head))
      query = jnp.broadcast_to(query, (x.shape[0], *query.shape))
    else:
      query = nn.DenseGeneral(by_head, name='query_embedding')(queries)
    # One cross-attention. Attention heads lie side by side: queries are
    # [B, Q, num_params], keys and values [B, T * N, num_params].
    query, key, value = (
        y.reshape(*y.shape[:2], self.num_params)
        for y in (
            query,
            project(name='key_embedding')(x),
            project(name='value_embedding')(x),
        )
    )
    token = self._attend(query, key, value)
    # Residual blocks: a projection of the attention's result, and an MLP.
    if self.match_vjepa_implementation:
      token = query + nn.Dense(self.num_params, name='Dense_0')(token)
      token += ReadoutMLP(name='MLP_0')(nn.LayerNorm(name='LayerNorm_1')(token))
    token = nn.with_logical_constraint(token, ('batch', None, None))
    return nn.Dense(self.num_classes, name='Dense_1')(token)

  def _attend(self, query, key, value):
    """Attends with all queries at once, or in chunks of `query_chunk`."""
    attend = functools.partial(
        attention.attend, num_heads=self.num_heads, implementation='xla'
    )
    if self.query_chunk is None:
      return attend(query, key, value)
    batch, size, width = query.shape
    if self.query_chunk < 1 or size % self.query_chunk:
      raise ValueError(
          f'query_chunk={self.query_chunk} must divide the {size} queries'
      )
    # The chunks, [chunks, B, query_chunk, num_params], attend one after the
    # other. Without `jax.checkpoint`, the scores of all chunks would be kept
    # for the backward pass.
    chunks = query.reshape(batch, -1, self.query_chunk, width).swapaxes(0, 1)
    mixed = jax.lax.map(
        jax.checkpoint(lambda chunk: attend(chunk, key, value)), chunks
    )
    return mixed.swapaxes(0, 1).reshape(query.shape)
