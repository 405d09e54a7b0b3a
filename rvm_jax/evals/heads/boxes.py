"""A head that tracks boxes through a clip, as for Waymo Open."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention
from rvm_jax.evals.heads import losses
from rvm_jax.evals.heads import queries as queries_lib
from rvm_jax.evals.metrics import boxes as boxes_metric


class BoxesHead(nn.Module):
  """Predicts an object's boxes in all frames from one query.

  The query is the object's box in frame 0. The 4DS readout has 1024 channels, 4
  attention heads, queries of width 512 and 16 Fourier octaves.

  The published loss is not known. Ours, with coordinates normalised to [0, 1],
  is the mean over the four coordinates of smooth L1 (quadratic for errors up to
  0.1), plus 0.5 times (1 - GIoU).

  Attributes:
    num_params: width of the attentive readout.
    num_heads: number of attention heads of the readout.
    height: height of the frames in pixels.
    width: width of the frames in pixels.
    query_width: width of the queries, E.
    num_bases: number of octaves in the queries' Fourier features.
  """

  num_params: int
  num_heads: int
  height: int
  width: int
  query_width: int
  num_bases: int

  ground_truth_keys = ('boxes',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Predicts boxes in all frames for each object.

    Args:
      features: C channels of each of N patches of T frames, float [B, T, N, C].
      batch: holds 'boxes', float [B, O, T, 4]; only frame 0 is read.

    Returns:
      Boxes as (x0, y0, x1, y1) in normalised coordinates, float32
      [B, O, T, 4], without a nonlinearity. They are meaningless for an object
      without a box in frame 0.
    """
    first = batch['boxes'][:, :, 0]
    first = jnp.where(boxes_metric.is_box(first)[..., None], first, 0)
    query = queries_lib.CoordinateQueries(
        self.query_width, self.num_bases, name='queries'
    )(self._normalise(first))
    num_frames = features.shape[1]
    # The outputs of a query are its T boxes: [B, O, 4 * T].
    outputs = attention.AttentionReadout(
        4 * num_frames, self.num_params, self.num_heads, name='readout'
    )(features, query)
    return outputs.reshape(*outputs.shape[:2], num_frames, 4)

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Computes the mean loss over the boxes of the queried objects.

    Args:
      outputs: outputs of the head, float32 [B, O, T, 4].
      batch: holds 'boxes', float [B, O, T, 4].

    Returns:
      float32 [B]; 0 for an example without a box that counts.
    """
    is_counted = boxes_metric.is_box(batch['boxes'])
    is_counted &= is_counted[:, :, :1]
    # Boxes that do not count become the whole frame. NaN, or a box without
    # area, would make the gradient of GIoU NaN although it is masked out.
    whole_frame = jnp.array([0, 0, 1, 1], jnp.float32).reshape(1, 1, 1, 4)
    true = self._normalise(batch['boxes'])
    true = jnp.where(is_counted[..., None], true, whole_frame)
    smooth_l1 = losses.huber(jnp.abs(outputs - true), 0.1).mean(-1) / 0.1
    giou = losses.generalised_iou(true, outputs)
    return losses.masked_mean(smooth_l1 + 0.5 * (1 - giou), is_counted)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """Converts outputs to boxes in pixels.

    Args:
      outputs: outputs of the head, float32 [B, O, T, 4].
      batch: holds 'boxes', float [B, O, T, 4]; only frame 0 is read.

    Returns:
      'boxes': float32 [B, O, T, 4]. Frame 0 holds the query. Later boxes are
      not clipped to the frame and may have negative sides. Objects without a
      box in frame 0 are NaN.
    """
    first = batch['boxes'][:, :, :1]
    boxes = queries_lib.to_pixels(outputs, self.height, self.width)
    boxes = jnp.concatenate([first, boxes[:, :, 1:]], axis=2)
    is_queried = boxes_metric.is_box(first)[..., None]
    return {'boxes': jnp.where(is_queried, boxes, jnp.nan)}

  def _normalise(self, boxes):
    """Converts boxes from pixels to normalised coordinates."""
    return queries_lib.normalise(boxes, self.height, self.width)
