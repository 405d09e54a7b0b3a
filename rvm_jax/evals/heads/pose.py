"""How the camera moved from the first frame to the last."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention


class PoseHead(nn.Module):
  """One learned query for the 12 numbers of a rotation and a translation.

  Sizes and loss are defaults of ours: the mean squared error of the 12 numbers.
  The rotation is taken as it comes, not made a true one.

  Attributes:
    num_params, num_heads: of the readout.
  """

  num_params: int
  num_heads: int

  truths = ('pose',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Features [B, T, N, C] to float32 [B, 12]; asks nothing."""
    del batch
    return attention.AttentionReadout(
        12, self.num_params, self.num_heads, name='readout'
    )(features)[:, 0]

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Mean squared difference to `batch['pose']` [B, 12]: float32 [B]."""
    return jnp.square(outputs - batch['pose']).mean(-1)

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """'pose': float32 [B, 12]."""
    del batch
    return {'pose': outputs}
