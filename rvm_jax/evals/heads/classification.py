"""Classes of whole clips: SSv2 and Kinetics."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention


class ClassificationHead(nn.Module):
  """One learned query; softmax cross entropy, without label smoothing.

  The sizes of 4DS are 768 and 12 heads for the 174 classes of SSv2, 1024 and
  16 heads for the 700 of Kinetics.

  Attributes:
    num_classes: K.
    num_params, num_heads: of the readout.
  """

  num_classes: int
  num_params: int
  num_heads: int

  truths = ('label',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Features [B, T, N, C] to logits, float32 [B, K]; asks nothing."""
    del batch
    return attention.AttentionReadout(
        self.num_classes, self.num_params, self.num_heads, name='readout'
    )(features)[:, 0]

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Cross entropy with `batch['label']`, int [B]: float32 [B]."""
    logs = jax.nn.log_softmax(outputs)
    label = batch['label'][:, None]
    return -jnp.take_along_axis(logs, label, axis=1)[:, 0]

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """'probabilities': float32 [B, K], a distribution for each clip.

    Those of several clips of one video are averaged by `metrics.accuracy`.
    """
    del batch
    return {'probabilities': jax.nn.softmax(outputs)}
