"""Sampling of the patches of a target frame that the model sees."""

import math

import jax
import jax.numpy as jnp


def num_visible(num_patches: int, mask_ratio: float) -> int:
  """Returns the number of visible patches in a frame.

  Of 256 patches 12 are visible at a mask ratio of 0.95.

  Args:
    num_patches: N, number of patches in a frame.
    mask_ratio: share of the patches that are hidden, in [0, 1).

  Returns:
    V, which is N * (1 - mask_ratio) rounded down.
  """
  # In floats 100 * (1 - 0.9) is below 10. The tolerance is far below one patch
  # and far above such errors.
  return math.floor(num_patches * (1 - mask_ratio) + 1e-6)


def sample_visible(
    rng: jax.Array, shape: tuple[int, ...], num_patches: int, visible: int
) -> jax.Array:
  """Samples the visible patches of each target, independently and uniformly.

  Args:
    rng: random key.
    shape: shape of the batch of targets, such as (B, K).
    num_patches: N, number of patches in a frame.
    visible: V, number of different patches to sample for each target.

  Returns:
    Raster indices of the visible patches in increasing order, int32
    [*shape, V].
  """
  # The V largest of N random numbers are a uniform sample without replacement.
  noise = jax.random.uniform(rng, (*shape, num_patches))
  _, indices = jax.lax.top_k(noise, visible)
  return jnp.sort(indices, axis=-1)
