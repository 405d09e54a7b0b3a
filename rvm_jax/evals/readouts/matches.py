"""Where things of the first frame are later on, by similarity of features."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


class Matches(nn.Module):
  """Where things of frame 0 are in all frames, by similarity of features."""

  @nn.compact
  def __call__(self, features: jax.Array, asked: jax.Array) -> jax.Array:
    """Looks for mixtures of the patches of frame 0.

    Args:
      features: float [B, T, N, C].
      asked: float [B, Q, N], shares of the patches.

    Returns:
      float32 [B, Q, T, 6]: in sides of the frame, by how much a thing is off
      its first place (x, y), and the variances of that; then how like the
      likely places are (cosine), and how like the first place still is.
    """
    _, num_frames, num_patches, _ = features.shape
    x = features.astype(jnp.float32)
    x = x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True) + 1e-6)
    query = jnp.einsum('bqn,bnd->bqd', asked, x[:, 0])
    like = jnp.einsum('bqd,btnd->bqtn', query, x)
    centres = _centres(num_patches)
    off = centres[None, None] - (asked @ centres)[:, :, None]  # [B, Q, N, 2]
    # Things are likelier near where they were: how much, is learned.
    sharpness = self.param('sharpness', nn.initializers.constant(3.0), ())
    nearness = self.param(
        'nearness', nn.initializers.constant(3.0), (num_frames, 1)
    )
    far = jnp.square(off).sum(-1)[:, :, None]  # [B, Q, 1, N]
    chance = jax.nn.softmax(
        jnp.exp(sharpness) * like - jnp.exp(nearness)[None, None] * far
    )
    mean = jnp.einsum('bqtn,bqnd->bqtd', chance, off)
    square = jnp.einsum('bqtn,bqnd->bqtd', chance, jnp.square(off))
    likely = (chance * like).sum(-1, keepdims=True)
    still = jnp.einsum('bqtn,bqn->bqt', like, asked)[..., None]
    return jnp.concatenate(
        [mean, square - jnp.square(mean), likely, still], -1
    )


def share_points(places: jax.Array, num_patches: int) -> jax.Array:
  """How points mix the patches around them, bilinearly.

  Args:
    places: float [..., 2], (x, y) as shares of the frame.
    num_patches: N.

  Returns:
    float32 [..., N], of sum 1.
  """
  side = round(num_patches**0.5)
  at = jnp.clip(places * side - 0.5, 0, side - 1)[..., None]
  near = jnp.maximum(0, 1 - jnp.abs(at - _along_last(np.arange(side), at)))
  both = near[..., 1, :, None] * near[..., 0, None, :]
  return both.reshape(*places.shape[:-1], num_patches)


def share_boxes(boxes: jax.Array, num_patches: int) -> jax.Array:
  """How much of a box is on each patch.

  Args:
    boxes: float [..., 4], (x0, y0, x1, y1) as shares of the frame.
    num_patches: N.

  Returns:
    float32 [..., N], of sum 1, or all 0 for a box outside the frame.
  """
  side = round(num_patches**0.5)
  first, last = boxes[..., :2, None], boxes[..., 2:, None]
  low = _along_last(np.arange(side) / side, first)
  cover = jnp.minimum(last, low + 1 / side) - jnp.maximum(first, low)
  cover = jnp.maximum(0, cover)  # [..., 2, side]
  both = cover[..., 1, :, None] * cover[..., 0, None, :]
  both = both.reshape(*boxes.shape[:-1], num_patches)
  return both / jnp.maximum(both.sum(-1, keepdims=True), 1e-9)


def _along_last(values, like):
  return values.astype(np.float32).reshape(*(1,) * (like.ndim - 1), -1)


def _centres(num_patches):
  side = round(num_patches**0.5)
  rows, columns = np.divmod(np.arange(num_patches), side)
  return (np.stack([columns, rows], 1).astype(np.float32) + 0.5) / side
