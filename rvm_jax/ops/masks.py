"""Which patches of a target frame are shown."""

import jax
import jax.numpy as jnp


def num_visible(num_patches: int, mask_ratio: float) -> int:
  """V = int(N (1 - mask_ratio)): 12 of 256 patches at 95 %."""
  return int(num_patches * (1 - mask_ratio))


def sample_visible(
    rng: jax.Array, shape: tuple[int, ...], num_patches: int, visible: int
) -> jax.Array:
  """Draws the shown patches of each target, independently and uniformly.

  Args:
    rng: key.
    shape: leading shape, one draw an entry: (B, K).
    num_patches: N, patches in a frame.
    visible: V, patches shown, no two the same.

  Returns:
    int32 [*shape, V], raster indices in increasing order.
  """
  noise = jax.random.uniform(rng, (*shape, num_patches))
  _, indices = jax.lax.top_k(noise, visible)
  return jnp.sort(indices, axis=-1)
