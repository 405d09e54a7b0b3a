"""Points followed through a clip: Perception Test."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention
from rvm_jax.evals.heads import losses
from rvm_jax.evals.heads import queries as queries_lib


class PointsHead(nn.Module):
  """Each point asks several times, for a few frames each time.

  Its place in frame 0 is made a query, copied for every `frames_per_query`
  frames, and each copy gets a learned vector of its time. The paper's readout
  has 1024 channels, 8 heads, queries 512 wide, 16 octaves and 2 frames a query.

  The loss is TAPIR's (Doersch et al., ICCV 2023), a default of ours, with
  places scaled to 256 x 256. It adds up 0.05 times the Huber loss of the
  distance (delta 4 pixels), the cross entropy of being visible, and that of
  being certain, as a place should be that is at most 6 pixels off. The first
  and the last count only where the point is visible.

  Attributes:
    num_params, num_heads: of the readout.
    height, width: of the frames, in pixels.
    query_width: E.
    num_bases: octaves of the Fourier features.
    frames_per_query: a divisor of T.
  """

  num_params: int
  num_heads: int
  height: int
  width: int
  query_width: int
  num_bases: int
  frames_per_query: int

  truths = ('tracks', 'visible', 'is_valid')

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Asks for the points in frame 0.

    Args:
      features: float [B, T, N, C].
      batch: 'tracks' [B, P, T, 2] of which frame 0 is read, 'is_valid' [B, P].

    Returns:
      Logits, float32 [B, P, T, 4], of x and y as a share of the frame, of being
      visible and of being certain.

    Raises:
      ValueError: T is not a multiple of `frames_per_query`.
    """
    num_frames = features.shape[1]
    if num_frames % self.frames_per_query:
      raise ValueError(
          f'frames_per_query={self.frames_per_query} must divide the'
          f' {num_frames} frames of a clip'
      )
    is_valid = batch['is_valid'][..., None]
    asked = jnp.where(is_valid, batch['tracks'][:, :, 0], 0)
    query = queries_lib.CoordinateQueries(
        self.query_width, self.num_bases, name='queries'
    )(
        self._to_shares(asked)
    )  # [B, P, E]
    size, num_points, _ = query.shape
    copies = num_frames // self.frames_per_query
    query = jnp.repeat(query[:, None], copies, axis=1)  # [B, copies, P, E]
    query = attention.TemporalEmbedding(name='temporal_tile_posenc')(query)
    found = attention.AttentionReadout(
        4 * self.frames_per_query,
        self.num_params,
        self.num_heads,
        name='readout',
    )(features, query.reshape(size, -1, self.query_width))
    found = found.reshape(size, copies, num_points, self.frames_per_query, 4)
    return found.swapaxes(1, 2).reshape(size, num_points, num_frames, 4)

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Mean over the valid points and all frames: float32 [B]."""
    is_valid = jnp.broadcast_to(
        batch['is_valid'][..., None], batch['visible'].shape
    )
    seen = is_valid & batch['visible']
    true = self._to_shares(jnp.where(seen[..., None], batch['tracks'], 0))
    off = 256 * (jax.nn.sigmoid(outputs[..., :2]) - true)
    off = jnp.sqrt(jnp.square(off).sum(-1) + 1e-12)  # Of finite slope at 0.
    where_seen = 0.05 * losses.huber(off, 4.0)
    where_seen += losses.binary_entropy(outputs[..., 3], off <= 6)
    terms = jnp.where(seen, where_seen, 0)
    terms += losses.binary_entropy(outputs[..., 2], seen)
    return losses.mean_counted(terms, is_valid)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """Tracks in pixels; a point is visible if probably visible and certain.

    In frame 0 the answer is what was asked: the query's place, visible.
    (TAP-Vid does not score the frame of the query.)

    Returns:
      'tracks': float32 [B, P, T, 2], and 'visible': bool [B, P, T], False for
      padding.
    """
    shares = jax.nn.sigmoid(outputs[..., :2])
    tracks = queries_lib.to_pixels(shares, self.height, self.width)
    asked = batch['tracks'][:, :, :1]
    visible = jax.nn.sigmoid(outputs[..., 2:]).prod(-1) > 0.5
    visible = visible.at[:, :, 0].set(True)
    return {
        'tracks': jnp.concatenate([asked, tracks[:, :, 1:]], axis=2),
        'visible': visible & batch['is_valid'][..., None],
    }

  def _to_shares(self, places):
    return queries_lib.to_shares(places, self.height, self.width)
