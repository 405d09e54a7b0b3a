"""Makes the queries of RVM's decoder, and maps its outputs to pixels."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers
from rvm_jax.ops import positions

# Number of values of the decoder's time index, which is one-hot encoded: a
# target lies 0 to 63 frames after the first source frame.
NUM_DELTAS = 64


def encode_deltas(deltas: jax.Array) -> jax.Array:
  """Returns one-hot deltas, float32 [B, K, 64].

  Args:
    deltas: int [B, K], number of frames from the first source frame to each
      target. A delta outside of 0 to 63 gives a row of NaN. `jax.nn.one_hot`
      alone would give zeros, and so a plausible but wrong prediction.
  """
  is_known = (deltas >= 0) & (deltas < NUM_DELTAS)
  return jnp.where(
      is_known[..., None], jax.nn.one_hot(deltas, NUM_DELTAS), jnp.nan
  )


def make_queries(
    encoded: jax.Array,
    mask_token: jax.Array,
    times: jax.Array,
    visible: jax.Array,
    num_patches: int,
) -> jax.Array:
  """Returns the decoder's input: a token for CLS and for each of N patches.

  Args:
    encoded: [B, K, 1 + V, E], encoded CLS token and visible patches of each
      target, mapped to E, the width of the decoder.
    mask_token: [1, E], the token of a hidden patch.
    times: [B, K, E], embeddings of the targets' deltas.
    visible: int [B, K, V], raster indices of the visible patches.
    num_patches: N, number of patches in a frame.

  Returns:
    [B, K, 1 + N, E].
  """
  cls, shown = encoded[:, :, :1], encoded[:, :, 1:]
  # Every patch starts as the mask token; `put` then replaces the visible
  # patches of each target by their encodings. The two `vmap`s map over B and K.
  batch, num_targets, _, width = encoded.shape
  patches = jnp.broadcast_to(
      mask_token.astype(encoded.dtype),
      (batch, num_targets, num_patches, width),
  )

  @jax.vmap
  @jax.vmap
  def put(patches, visible, shown):
    """Maps [N, E], [V], [V, E] to [N, E]."""
    return patches.at[visible].set(shown)

  patches = put(patches, visible, shown)
  # Add to each patch, but not to CLS, an embedding of its frame's time and of
  # its position in the frame.
  where = positions.sinusoid(num_patches, width)[None, None]
  patches = patches + times[:, :, None] + where.astype(patches.dtype)
  return jnp.concatenate([cls, patches], axis=2)


class Detokenizer(nn.Module):
  """Maps tokens [..., E] to the pixels of their patches [..., P * P * 3].

  Attributes:
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix products.
  """

  patch: int
  dtype: layers.Dtype

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    # The bias makes the prediction mid-grey before training, near the mean
    # colour of frames, so that the first steps are not spent on learning it.
    return nn.Dense(
        self.patch**2 * 3,
        dtype=self.dtype,
        kernel_init=nn.initializers.normal(0.02),
        bias_init=nn.initializers.constant(0.5),
        name='Dense_0',
    )(x)
