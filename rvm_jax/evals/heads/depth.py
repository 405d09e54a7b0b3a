"""Depth of every pixel: ScanNet."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention
from rvm_jax.evals.heads import losses


class DepthHead(nn.Module):
  """A learned query for each patch of space and time, which paints its pixels.

  Queries are in raster order (time, row, column), and so are the pixels of one.
  The readout of 4DS has 1024 channels, 16 heads and patches of 2 x 8 x 8: 6272
  queries for 16 frames of 224 x 224.

  The loss is a default of ours: the squared difference of logarithms. The
  outputs are therefore taken as the logarithm of the depth in metres.

  Attributes:
    num_params, num_heads, query_chunk: of the readout. With the sizes above, a
      training step needs 2.7 GB a clip, and 0.7 in chunks of 784 (what XLA says
      when it compiles for a CPU).
    height, width: of the frames, in pixels.
    patch: frames, rows and columns of a query, divisors of T, height and width.
  """

  num_params: int
  num_heads: int
  height: int
  width: int
  patch: tuple[int, int, int]
  query_chunk: int | None

  truths = ('depth',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Features [B, T, N, C] to float32 [B, T, H, W]; asks nothing.

    Raises:
      ValueError: a side or T is not a multiple of the patch's.
    """
    del batch
    shape = features.shape[1], self.height, self.width
    if any(side % part for side, part in zip(shape, self.patch, strict=True)):
      raise ValueError(
          f'patch={tuple(self.patch)} must divide frames, height and width'
          f' {shape}'
      )
    deep, tall, wide = self.patch
    grid = shape[0] // deep, shape[1] // tall, shape[2] // wide
    x = attention.AttentionReadout(
        deep * tall * wide,
        self.num_params,
        self.num_heads,
        num_queries=grid[0] * grid[1] * grid[2],
        query_chunk=self.query_chunk,
        name='readout',
    )(features)
    x = x.reshape(-1, *grid, *self.patch)  # [B, t, h, w, dt, dh, dw]
    return x.transpose(0, 1, 4, 2, 5, 3, 6).reshape(-1, *shape)

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Mean over the pixels whose depth is known: float32 [B]."""
    counted = batch['depth'] > 0
    true = jnp.log(jnp.where(counted, batch['depth'], 1))
    return losses.mean_counted(jnp.square(outputs - true), counted)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """'depth': float32 [B, T, H, W], in metres, above 0."""
    del batch
    return {'depth': jnp.exp(outputs)}
