"""A head that predicts the depth of every pixel, as for ScanNet."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention
from rvm_jax.evals.heads import losses


class DepthHead(nn.Module):
  """Predicts depth with a learned query for each block of frames and pixels.

  Queries are in raster order (time, row, column), and so are the pixels of a
  query's block. The 4DS readout has 1024 channels, 16 attention heads and
  blocks of 2 frames x 8 rows x 8 columns, which is 6272 queries for 16 frames
  of 224 x 224.

  The published loss is not known. Ours is the squared difference of the
  logarithms of depth in metres; the outputs therefore are log depth.

  Attributes:
    num_params: width of the attentive readout.
    num_heads: number of attention heads of the readout.
    height: height of the frames in pixels.
    width: width of the frames in pixels.
    patch: numbers of frames, rows and columns of a query's block, divisors of
      T, `height` and `width`.
    query_chunk: number of queries that attend at a time, a divisor of the
      number of all queries, or None for all at once. At the sizes of 4DS a
      training step takes 2.7 GB per clip with None and 0.7 GB in chunks of 784,
      according to XLA's estimate for a CPU.
  """

  num_params: int
  num_heads: int
  height: int
  width: int
  patch: tuple[int, int, int]
  query_chunk: int | None

  ground_truth_keys = ('depth',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Predicts the log depth of every pixel.

    Args:
      features: C channels of each of N patches of T frames, float [B, T, N, C].
      batch: not read.

    Returns:
      Logarithm of the depth in metres, float32 [B, T, H, W].

    Raises:
      ValueError: `patch` does not divide T, the height and the width, or
        `query_chunk` does not divide the number of queries.
    """
    del batch
    shape = features.shape[1], self.height, self.width
    if any(side % part for side, part in zip(shape, self.patch, strict=True)):
      raise ValueError(
          f'patch={tuple(self.patch)} must divide the frames, height and width'
          f' of a clip, {shape}'
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
    # From blocks to pixels: [B, t, h, w, dt, dh, dw] to [B, T, H, W].
    x = x.reshape(-1, *grid, *self.patch)
    return x.transpose(0, 1, 4, 2, 5, 3, 6).reshape(-1, *shape)

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Computes the mean squared error of log depth over pixels of known depth.

    Args:
      outputs: log depth, float32 [B, T, H, W].
      batch: holds 'depth', float [B, T, H, W] in metres. Depth that is not
        above 0 is unknown.

    Returns:
      float32 [B]; 0 for an example without known depth.
    """
    is_known = batch['depth'] > 0
    true = jnp.log(jnp.where(is_known, batch['depth'], 1))
    return losses.masked_mean(jnp.square(outputs - true), is_known)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """Converts log depth to depth.

    Args:
      outputs: log depth, float32 [B, T, H, W].
      batch: not read.

    Returns:
      'depth': float32 [B, T, H, W] in metres, above 0.
    """
    del batch
    return {'depth': jnp.exp(outputs)}
