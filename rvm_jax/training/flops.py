"""Counts the floating-point operations of training.

Only matrix products are counted: those of attention, MLPs, gates, patch
embeddings and other dense layers. A multiplication and the addition that
follows it are two FLOPs. What rematerialisation computes again is not counted.
So the model FLOPs utilisation (MFU), which is these FLOPs divided by time and
by the devices' peak, says how fast the model is trained, and not how busy the
devices are.

In the formulas q and n are numbers of tokens, d and w are widths. A frame has a
CLS token besides its patches.
"""

from rvm_jax.models import rvm


def count_training(
    model: rvm.RVM,
    *,
    num_source: int,
    num_target: int,
    num_patches: int,
    num_visible: int,
) -> float:
  """Returns the FLOPs of a training step of RVM for one clip.

  They are those of three forward passes: the backward pass multiplies twice
  where the forward pass multiplies once.

  Args:
    model: RVM, for its sizes.
    num_source: T, number of source frames.
    num_target: K, number of target frames.
    num_patches: N, number of patches in a frame.
    num_visible: V, number of visible patches in a target frame.
  """
  # For each source frame the core computes the update and the reset gate, each
  # from tokens and from the state: four products of [n, d] with [d, d]. Each
  # block of its transformer then has cross-attention, self-attention and an
  # MLP.
  d, n = model.width, 1 + num_patches
  core = 8 * n * d**2 + model.core_layers * (
      2 * attention(n, n, d) + mlp(n, d, model.core_mlp)
  )
  return 3.0 * (
      num_source * core
      + count_around_core(
          model, num_source, num_target, num_patches, num_visible
      )
  )


def count_around_core(
    model: rvm.RVM,
    num_source: int,
    num_target: int,
    num_patches: int,
    num_visible: int,
) -> int:
  """Returns the FLOPs of RVM's encoder and decoder in one forward pass.

  The arguments are those of `count_training`.
  """
  d, w = model.width, model.decoder_width
  n, v = 1 + num_patches, 1 + num_visible
  pixels = 3 * model.patch**2

  def count_encoder(q):
    # The CLS token is not made of pixels.
    return dense(q - 1, pixels, d) + transformer(
        q, d, model.encoder_layers, model.encoder_mlp
    )

  context = num_source * n
  embedding = dense(context + num_target * v, d, w)
  decoder = cross_transformer(
      num_target, n, context, w, model.decoder_layers, model.decoder_mlp
  )
  head = dense(num_target * num_patches, w, pixels)
  return (
      num_source * count_encoder(n)
      + num_target * count_encoder(v)
      + embedding
      + decoder
      + head
  )


def dense(q: int, inputs: int, outputs: int) -> int:
  """Returns the FLOPs of a dense layer on q tokens."""
  return 2 * q * inputs * outputs


def attention(q: int, m: int, d: int) -> int:
  """Returns the FLOPs of attention of q queries to m tokens of width d."""
  # In this order: queries and outputs, keys and values, scores and mixing.
  return 4 * q * d**2 + 4 * m * d**2 + 4 * q * m * d


def mlp(q: int, d: int, hidden: int) -> int:
  """Returns the FLOPs of an MLP on q tokens of width d."""
  return 4 * q * d * hidden


def transformer(q: int, d: int, num_layers: int, hidden: int) -> int:
  """Returns the FLOPs of the blocks of a ViT on q tokens of width d."""
  return num_layers * (attention(q, q, d) + mlp(q, d, hidden))


def cross_transformer(
    groups: int, q: int, context: int, d: int, num_layers: int, hidden: int
) -> int:
  """Returns the FLOPs of a `layers.CrossTransformer`.

  Args:
    groups: number of groups of tokens. All groups attend to the same context,
      whose keys and values are computed once.
    q: number of tokens of a group.
    context: number of tokens in the context.
    d: width of all tokens.
    num_layers: number of blocks.
    hidden: hidden width of the MLPs.
  """
  return num_layers * (
      attention(groups * q, context, d)
      + mlp(groups * q, d, hidden)
      + groups * attention(q, q, d)
  )
