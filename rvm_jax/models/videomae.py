"""VideoMAE: a ViT over tubelets, and a small decoder that predicts hidden ones.

A tubelet is a patch of two consecutive frames. The same patches are hidden in
all frames of a clip.

Source: Tong et al., "VideoMAE", arXiv 2203.12602, written from the paper. The
blocks are RVM's (GELU by its tanh approximation; the keys have a bias, which
changes nothing in attention), so that comparisons are of encoders built alike.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import layers
from rvm_jax.models import vit
from rvm_jax.ops import patches as patches_lib
from rvm_jax.ops import positions

# Number of frames of a tubelet.
TUBELET = 2


class VideoMAE(nn.Module):
  """Video masked autoencoder.

  Attributes:
    grid: (t, h, w) of the clips that the model is trained on: number of steps
      of two frames, of rows of patches and of columns of patches. The model
      takes clips of other heights and widths too.
    width: D, width of the encoder.
    encoder_layers: number of blocks in the encoder, a ViT.
    encoder_heads: number of attention heads in a block of the encoder.
    encoder_mlp: hidden width of the MLP in a block of the encoder.
    decoder_width: E, width of the decoder.
    decoder_layers: number of blocks in the decoder.
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

  grid: tuple[int, int, int]
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
        TUBELET,
        **common,
    )
    self.mask_token = self.param(
        'mask_token',
        nn.initializers.normal(0.02, jnp.float32),
        (1, self.decoder_width),
    )
    self.decoder_embedder = nn.Dense(
        self.decoder_width,
        use_bias=False,
        dtype=dtype,
        kernel_init=layers.XAVIER,
    )
    self.decoder = vit.VisionTransformer(
        self.decoder_layers, self.decoder_heads, self.decoder_mlp, **common
    )
    self.head = nn.Dense(
        TUBELET * self.patch**2 * 3, dtype=dtype, kernel_init=layers.XAVIER
    )

  def encode(self, frames: jax.Array) -> jax.Array:
    """Encodes clips as a whole.

    Args:
      frames: [B, T, H, W, 3], uint8, or float in [0, 1], with T = 2 t for the t
        of `grid`.

    Returns:
      [B, t, N, D], a feature for each tubelet.
    """
    x = patches_lib.tubelets(frames, self.patch, TUBELET)
    batch, steps, size, pixels = x.shape
    tokens = self.encoder(
        x.reshape(batch, steps * size, pixels),
        self._table(frames, self.width).reshape(steps * size, -1),
    )
    return tokens.reshape(batch, steps, size, -1)

  def __call__(
      self, frames: jax.Array, visible: jax.Array, hidden: jax.Array
  ) -> jax.Array:
    """Predicts the hidden tubelets of clips.

    Args:
      frames: [B, T, H, W, 3], uint8, or float in [0, 1], with T = 2 t for the t
        of `grid`.
      visible: int [B, V], raster indices of the patches that are visible in
        every frame.
      hidden: int [B, N - V], raster indices of the patches that are hidden in
        every frame.

    Returns:
      float32 [B, t * (N - V), 2 * P * P * 3], the predicted pixels of the
      hidden tubelets, step by step, each channel of a tubelet normalised to
      mean 0 and variance 1.
    """
    pixels = patches_lib.tubelets(frames, self.patch, TUBELET)
    table = self._table(frames, self.width)[None]
    tokens = self.encoder(
        patches_lib.take(pixels, visible), patches_lib.take(table, visible)
    )
    table = self._table(frames, self.decoder_width)[None]
    queries = vit.append_masks(
        self.decoder_embedder(tokens),
        self.mask_token,
        patches_lib.take(table, visible),
        patches_lib.take(table, hidden),
    )
    decoded = self.decoder(queries)[:, tokens.shape[1] :]
    return self.head(decoded).astype(jnp.float32)

  def _table(self, frames: jax.Array, channels: int) -> jax.Array:
    """Returns position embeddings of all tubelets, float32 [t, N, channels]."""
    height, width = frames.shape[2:4]
    rows, columns = patches_lib.grid(height, width, self.patch)
    return jnp.asarray(positions.clip_table(rows, columns, self.grid, channels))
