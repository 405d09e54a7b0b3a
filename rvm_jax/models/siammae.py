"""SiamMAE: a shared image encoder and a decoder that attends across frames.

Source: Gupta et al., "Siamese Masked Autoencoders", arXiv 2305.14344, written
from the paper. The blocks (GELU by its tanh approximation) and the encoder's
position embeddings are RVM's, so that comparisons are of encoders built alike.
There is no CLS token, because only the features of patches are used.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers
from rvm_jax.models import vit
from rvm_jax.ops import patches as patches_lib
from rvm_jax.ops import positions


class SiamMAE(nn.Module):
  """Siamese masked autoencoder.

  Attributes:
    width: D, width of the encoder.
    encoder_layers: number of blocks in the encoder, a ViT.
    encoder_heads: number of attention heads in a block of the encoder.
    encoder_mlp: hidden width of the MLP in a block of the encoder.
    decoder_width: E, width of the decoder.
    decoder_layers: number of blocks in the decoder. In each, the tokens of a
      target frame attend to the source frame and then to each other.
    decoder_heads: number of attention heads in a block of the decoder.
    decoder_mlp: hidden width of the MLP in a block of the decoder.
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix products, 'float32' or 'bfloat16'.
    attention: implementation of attention, see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass, see
      `stacks.rematerialise`.
    scan_layers: whether the blocks of each part run in one loop, see
      `stacks.apply_blocks`.
  """

  width: int
  encoder_layers: int
  encoder_heads: int
  encoder_mlp: int
  decoder_width: int
  decoder_layers: int
  decoder_heads: int
  decoder_mlp: int
  patch: int
  dtype: str
  attention: str
  remat: str
  scan_layers: bool

  def setup(self):
    """Makes the parts. Attribute names become the parameters' paths."""
    dtype = jnp.dtype(self.dtype)
    common: dict[str, Any] = dict(
        dtype=dtype,
        attention=self.attention,
        remat=self.remat,
        scan_layers=self.scan_layers,
    )
    self.encoder = vit.PatchEncoder(
        self.width,
        self.encoder_layers,
        self.encoder_heads,
        self.encoder_mlp,
        self.patch,
        tubelet=1,
        **common,
    )
    self.mask_token = self.param(
        'mask_token',
        nn.initializers.normal(0.02, jnp.float32),
        (1, self.decoder_width),
    )
    self.decoder_embedder = nn.Dense(
        self.decoder_width, dtype=dtype, kernel_init=layers.XAVIER
    )
    self.decoder = layers.CrossTransformer(
        self.decoder_layers, self.decoder_heads, self.decoder_mlp, **common
    )
    self.head = nn.Dense(
        self.patch**2 * 3, dtype=dtype, kernel_init=layers.XAVIER
    )

  def encode(self, frames: jax.Array) -> jax.Array:
    """Encodes frames, each on its own.

    Args:
      frames: [B, H, W, 3], uint8, or float in [0, 1].

    Returns:
      [B, N, D], a feature for each patch.
    """
    height, width = frames.shape[1:3]
    rows, columns = patches_lib.grid(height, width, self.patch)
    return self.encoder(
        patches_lib.patchify(frames, self.patch),
        positions.encoder_table(rows, columns, self.width),
    )

  def __call__(
      self,
      source: jax.Array,
      target: jax.Array,
      visible: jax.Array,
      hidden: jax.Array,
  ) -> jax.Array:
    """Predicts the hidden patches of target frames.

    Args:
      source: [B, H, W, 3], uint8, or float in [0, 1], source frames, of which
        all patches are visible to the model.
      target: [B, K, H, W, 3], uint8, or float in [0, 1], frames of the same
        videos.
      visible: int [B, K, V], raster indices of the visible patches of each
        target.
      hidden: int [B, K, N - V], raster indices of the hidden patches of each
        target.

    Returns:
      float32 [B, K, N - V, P * P * 3], the predicted pixels of the hidden
      patches, each patch normalised to mean 0 and variance 1.
    """
    batch, num_targets, height, width, _ = target.shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    context = self.decoder_embedder(self.encode(source))  # [B, N, E]
    # Encode the visible patches of each target, [B * K, V, P * P * 3].
    pixels = jnp.take_along_axis(
        patches_lib.patchify(target, self.patch), visible[..., None], axis=2
    )
    flat = (batch * num_targets, -1, pixels.shape[-1])
    table = positions.encoder_table(rows, columns, self.width)
    places = table[visible].reshape(flat[0], -1, self.width)
    shown = self.decoder_embedder(self.encoder(pixels.reshape(flat), places))
    # The decoder's queries are the visible patches and then the hidden ones.
    where = positions.sinusoid(rows * columns, self.decoder_width)
    queries = vit.append_masks(
        shown.reshape(batch, num_targets, -1, self.decoder_width),
        self.mask_token,
        jnp.asarray(where)[visible],
        jnp.asarray(where)[hidden],
    )
    decoded = self.decoder(queries, context)
    found = self.head(decoded[:, :, visible.shape[-1] :])
    return found.astype(jnp.float32)
