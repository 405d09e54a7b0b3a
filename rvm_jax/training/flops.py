"""Counts the floating-point operations of training RVM."""

from rvm_jax.models import rvm


def count_training(
    model: rvm.RVM,
    *,
    num_source: int,
    num_target: int,
    num_patches: int,
    num_visible: int,
) -> float:
  """Returns the FLOPs of a training step for one clip: three forward passes.

  Only matrix products are counted, with two FLOPs for a multiplication and an
  addition: those of attention, MLPs, gates, patch embeddings and the last dense
  layer. What rematerialisation computes again is not counted, so that a
  utilisation made of it says how fast the model is trained, and not how busy
  the devices are.

  Args:
    model: RVM, for its sizes.
    num_source: T, number of source frames.
    num_target: K, number of target frames.
    num_patches: N, number of patches in a frame.
    num_visible: V, number of visible patches in a target frame.
  """
  d, w = model.width, model.decoder_width
  n, v = 1 + num_patches, 1 + num_visible
  pixels = 3 * model.patch**2

  def count_encoder(q):
    block = _attention(q, q, d) + _mlp(q, d, model.encoder_mlp)
    return 2 * (q - 1) * pixels * d + model.encoder_layers * block

  # The four gates are products of [n, d] with [d, d].
  core = 8 * n * d**2 + model.core_layers * (
      2 * _attention(n, n, d) + _mlp(n, d, model.core_mlp)
  )
  # In the cross-attention, keys and values are shared by all targets.
  context, queries = num_source * n, num_target * n
  decoder = model.decoder_layers * (
      _attention(queries, context, w)
      + num_target * _attention(n, n, w)
      + _mlp(queries, w, model.decoder_mlp)
  )
  embedding = 2 * (context + num_target * v) * d * w
  head = 2 * num_target * num_patches * w * pixels
  forward = (
      num_source * (count_encoder(n) + core)
      + num_target * count_encoder(v)
      + embedding
      + decoder
      + head
  )
  return 3.0 * forward


def _attention(q: int, m: int, d: int) -> int:
  """Returns the FLOPs of attention of q queries to m tokens of width d."""
  return 4 * q * d**2 + 4 * m * d**2 + 4 * q * m * d


def _mlp(q: int, d: int, hidden: int) -> int:
  """Returns the FLOPs of an MLP on q tokens of width d."""
  return 4 * q * d * hidden
