"""A head that classifies clips, as for Something-Something v2 and Kinetics."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.evals.heads import attention


class ClassificationHead(nn.Module):
  """Predicts a clip's class with one learned query.

  The 4DS readout has 768 channels and 12 attention heads for the 174 classes of
  Something-Something v2, and 1024 channels and 16 attention heads for the 700
  classes of Kinetics. The loss is softmax cross entropy; whether the papers use
  label smoothing is not known, and none is used here.

  Attributes:
    num_classes: number of classes, K.
    num_params: width of the attentive readout.
    num_heads: number of attention heads of the readout.
  """

  num_classes: int
  num_params: int
  num_heads: int

  ground_truth_keys = ('label',)

  @nn.compact
  def __call__(self, features: jax.Array, batch) -> jax.Array:
    """Predicts the logits of the classes.

    Args:
      features: C channels of each of N patches of T frames, float [B, T, N, C].
      batch: not read.

    Returns:
      Logits, float32 [B, K].
    """
    del batch
    return attention.AttentionReadout(
        self.num_classes, self.num_params, self.num_heads, name='readout'
    )(features)[:, 0]

  def loss(self, outputs: jax.Array, batch) -> jax.Array:
    """Computes the softmax cross entropy.

    Args:
      outputs: logits, float32 [B, K].
      batch: holds 'label', int [B] in 0..K - 1.

    Returns:
      float32 [B].
    """
    log_probabilities = jax.nn.log_softmax(outputs)
    label = batch['label'][:, None]
    return -jnp.take_along_axis(log_probabilities, label, axis=1)[:, 0]

  def decode(self, outputs: jax.Array, batch) -> dict[str, jax.Array]:
    """Converts logits to probabilities.

    Args:
      outputs: logits, float32 [B, K].
      batch: not read.

    Returns:
      'probabilities': class probabilities of each clip, float32 [B, K].
      `metrics.accuracy` averages those of several clips of one video.
    """
    del batch
    return {'probabilities': jax.nn.softmax(outputs)}
