"""A head that tracks points through a clip, as for Perception Test."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention
from rvm_jax.evals.heads import losses
from rvm_jax.evals.heads import queries as queries_lib


class PointsHead(nn.Module):
  """Predicts a point's track with one query for every few frames.

  A point's position in frame 0 is embedded as a query. The query is copied once
  for every `frames_per_query` frames, and a learned embedding tells the copies
  apart. The 4DS readout has 1024 channels, 8 attention heads, queries of width
  512, 16 Fourier octaves and 2 frames per query.

  The published loss is not known. Ours is that of TAPIR (Doersch et al., ICCV
  2023), in pixels of a frame scaled to 256 x 256: 0.05 times the Huber loss of
  the distance (delta 4), plus the cross entropy of visibility, plus the cross
  entropy of certainty. A prediction should be certain where it is at most 6
  pixels off. Distance and certainty count only where the point is visible.

  Attributes:
    num_params: width of the attentive readout.
    num_heads: number of attention heads of the readout.
    height: height of the frames in pixels.
    width: width of the frames in pixels.
    query_width: width of the queries, E.
    num_bases: number of octaves in the queries' Fourier features.
    frames_per_query: number of frames that a query predicts, a divisor of T.
  """

  num_params: int
  num_heads: int
  height: int
  width: int
  query_width: int
  num_bases: int
  frames_per_query: int

  ground_truth_keys = ('tracks', 'visible', 'is_valid')

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Predicts position, visibility and certainty in all frames.

    Args:
      features: C channels of each of N patches of T frames, float [B, T, N, C].
      batch: holds 'tracks', float [B, P, T, 2], of which only frame 0 is read,
        and 'is_valid', bool [B, P].

    Returns:
      Logits, float32 [B, P, T, 4]: of x and y in normalised coordinates, of
      being visible, and of being certain.

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
    first = jnp.where(is_valid, batch['tracks'][:, :, 0], 0)
    query = queries_lib.CoordinateQueries(
        self.query_width, self.num_bases, name='queries'
    )(self._normalise(first))
    # Copies of each point's query, [B, copies, P, E], one for each group of
    # `frames_per_query` frames.
    batch_size, num_points, _ = query.shape
    copies = num_frames // self.frames_per_query
    query = jnp.repeat(query[:, None], copies, axis=1)
    query = attention.TemporalEmbedding(name='temporal_tile_posenc')(query)
    outputs = attention.AttentionReadout(
        4 * self.frames_per_query,
        self.num_params,
        self.num_heads,
        name='readout',
    )(features, query.reshape(batch_size, -1, self.query_width))
    # From [B, copies * P, 4 * frames_per_query] to [B, P, T, 4].
    outputs = outputs.reshape(
        batch_size, copies, num_points, self.frames_per_query, 4
    )
    return outputs.swapaxes(1, 2).reshape(batch_size, num_points, num_frames, 4)

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Computes the mean loss over the valid points and all frames.

    Args:
      outputs: logits, float32 [B, P, T, 4].
      batch: holds 'tracks', float [B, P, T, 2], 'visible', bool [B, P, T], and
        'is_valid', bool [B, P].

    Returns:
      float32 [B]; 0 for an example without a valid point.
    """
    is_valid = jnp.broadcast_to(
        batch['is_valid'][..., None], batch['visible'].shape
    )
    is_visible = is_valid & batch['visible']
    true = self._normalise(jnp.where(is_visible[..., None], batch['tracks'], 0))
    # Distance in pixels of a 256 x 256 frame, [B, P, T]. The tiny constant
    # keeps the gradient of the root finite at 0.
    offset = 256 * (jax.nn.sigmoid(outputs[..., :2]) - true)
    distance = jnp.sqrt(jnp.square(offset).sum(-1) + 1e-12)
    position_terms = 0.05 * losses.huber(distance, 4.0)
    position_terms += losses.binary_cross_entropy(
        outputs[..., 3], distance <= 6
    )
    terms = jnp.where(is_visible, position_terms, 0)
    terms += losses.binary_cross_entropy(outputs[..., 2], is_visible)
    return losses.masked_mean(terms, is_valid)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """Converts logits to tracks in pixels and to visibility.

    As in the released code of MooG (van Steenkiste et al., NeurIPS 2024), a
    point is predicted visible if the product of the probabilities of being
    visible and of being certain is above 0.5. In frame 0 the prediction is the
    query, and visible; TAP-Vid does not score the query's frame.

    Args:
      outputs: logits, float32 [B, P, T, 4].
      batch: holds 'tracks', float [B, P, T, 2], of which only frame 0 is read,
        and 'is_valid', bool [B, P].

    Returns:
      'tracks': float32 [B, P, T, 2], as (x, y) in pixels.
      'visible': bool [B, P, T]; False for points that are not valid.
    """
    positions = jax.nn.sigmoid(outputs[..., :2])
    tracks = queries_lib.to_pixels(positions, self.height, self.width)
    first = batch['tracks'][:, :, :1]
    visible = jax.nn.sigmoid(outputs[..., 2:]).prod(-1) > 0.5
    visible = visible.at[:, :, 0].set(True)
    return {
        'tracks': jnp.concatenate([first, tracks[:, :, 1:]], axis=2),
        'visible': visible & batch['is_valid'][..., None],
    }

  def _normalise(self, points):
    """Converts points from pixels to normalised coordinates."""
    return queries_lib.normalise(points, self.height, self.width)
