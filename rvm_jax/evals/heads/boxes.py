"""Boxes followed through a clip: Waymo Open."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention
from rvm_jax.evals.heads import losses
from rvm_jax.evals.heads import queries as queries_lib


class BoxesHead(nn.Module):
  """Each object asks once, for its boxes in all frames.

  Its box in frame 0 is made a query. The paper's readout has 1024 channels,
  4 heads, queries 512 wide and 16 octaves.

  The loss is a default of ours, with sides of the frame as units of length: the
  mean over the four coordinates of smooth L1, which is quadratic up to a tenth,
  plus a half of 1 - GIoU.

  Attributes:
    num_params, num_heads: of the readout.
    height, width: of the frames, in pixels.
    query_width: E.
    num_bases: octaves of the Fourier features.
  """

  num_params: int
  num_heads: int
  height: int
  width: int
  query_width: int
  num_bases: int

  truths = ('boxes',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Asks for the objects that have a box in frame 0.

    Args:
      features: float [B, T, N, C].
      batch: 'boxes' [B, O, T, 4] of which frame 0 is read.

    Returns:
      float32 [B, O, T, 4], (x0, y0, x1, y1) as shares of the frame, linear; for
      an object without a box in frame 0 it means nothing.
    """
    asked = batch['boxes'][:, :, 0]
    asked = jnp.where(_is_box(asked)[..., None], asked, 0)
    query = queries_lib.CoordinateQueries(
        self.query_width, self.num_bases, name='queries'
    )(
        self._to_shares(asked)
    )  # [B, O, E]
    num_frames = features.shape[1]
    found = attention.AttentionReadout(
        4 * num_frames, self.num_params, self.num_heads, name='readout'
    )(features, query)
    return found.reshape(*found.shape[:2], num_frames, 4)

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Mean over boxes of some area of the objects asked for: float32 [B]."""
    counted = _is_box(batch['boxes'])
    counted &= counted[:, :, :1]
    whole = jnp.array([0, 0, 1, 1], jnp.float32).reshape(1, 1, 1, 4)
    true = self._to_shares(batch['boxes'])
    true = jnp.where(counted[..., None], true, whole)  # Of some area.
    off = losses.huber(jnp.abs(outputs - true), 0.1).mean(-1) / 0.1
    overlap = losses.generalised_iou(true, outputs)
    return losses.mean_counted(off + 0.5 * (1 - overlap), counted)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """Boxes in pixels; in frame 0 the answer is what was asked.

    Returns:
      'boxes': float32 [B, O, T, 4], not clipped, maybe of sides below 0; NaN
      for an object without a box in frame 0.
    """
    asked = batch['boxes'][:, :, :1]
    boxes = queries_lib.to_pixels(outputs, self.height, self.width)
    boxes = jnp.concatenate([asked, boxes[:, :, 1:]], axis=2)
    is_asked = _is_box(asked)[..., None]
    return {'boxes': jnp.where(is_asked, boxes, jnp.nan)}

  def _to_shares(self, places):
    return queries_lib.to_shares(places, self.height, self.width)


def _is_box(boxes):
  """Whether there is a box of some area: NaN is not."""
  return (boxes[..., 2:] > boxes[..., :2]).all(-1)
