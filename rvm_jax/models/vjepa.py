"""V-JEPA: a ViT over tubelets, and a predictor of the features of hidden ones.

A tubelet is a patch of two consecutive frames. The same patches are hidden in
all frames of a clip.

Source: Bardes et al., "Revisiting Feature Prediction for Learning Visual
Representations from Video", arXiv 2404.08471, written from the paper. The
blocks are RVM's (GELU by its tanh approximation), so that comparisons are of
encoders built alike.
"""

from collections.abc import Sequence
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


class VJEPA(nn.Module):
  """Video joint-embedding predictive architecture.

  Attributes:
    grid: (t, h, w) of the clips that the model is trained on: number of steps
      of two frames, of rows of patches and of columns of patches. The model
      takes clips of other lengths, heights and widths too.
    num_masks: number of kinds of masks, each with a mask token of its own.
    width: D, width of the encoder.
    encoder_layers: number of blocks in the encoder, a ViT.
    encoder_heads: number of attention heads in a block of the encoder.
    encoder_mlp: hidden width of the MLP in a block of the encoder.
    predictor_width: E, width of the predictor.
    predictor_layers: number of blocks in the predictor.
    predictor_heads: number of attention heads in a block of the predictor.
    predictor_mlp: hidden width of the MLP in a block of the predictor.
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix products, 'float32' or 'bfloat16'.
    attention: implementation of attention, see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass, see
      `stacks.rematerialise`.
    scan_layers: whether the blocks of each part run in one loop, see
      `stacks.apply_blocks`.
  """

  grid: tuple[int, int, int]
  num_masks: int
  width: int
  encoder_layers: int
  encoder_heads: int
  encoder_mlp: int
  predictor_width: int
  predictor_layers: int
  predictor_heads: int
  predictor_mlp: int
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
    self.mask_tokens = self.param(
        'mask_tokens',
        nn.initializers.normal(0.02, jnp.float32),
        (self.num_masks, self.predictor_width),
    )
    self.predictor_embedder = nn.Dense(
        self.predictor_width, dtype=dtype, kernel_init=layers.XAVIER
    )
    self.predictor = vit.VisionTransformer(
        self.predictor_layers,
        self.predictor_heads,
        self.predictor_mlp,
        **common,
    )
    self.head = nn.Dense(self.width, dtype=dtype, kernel_init=layers.XAVIER)

  def encode(self, frames: jax.Array) -> jax.Array:
    """Encodes clips as a whole.

    Args:
      frames: [B, T, H, W, 3], uint8, or float in [0, 1], with T = 2 t.

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
      self,
      frames: jax.Array,
      masks: Sequence[tuple[jax.Array, jax.Array]],
  ) -> list[jax.Array]:
    """Predicts the features of hidden tubelets, for each kind of mask.

    Args:
      frames: [B, T, H, W, 3], uint8, or float in [0, 1], with T = 2 t.
      masks: for each kind of mask, with a V of its own, the raster indices of
        the patches that are visible in every frame, int [B, V], and of those
        that are hidden in every frame, int [B, N - V].

    Returns:
      For each kind of mask, the predicted features of the hidden tubelets, step
      by step, float32 [B, t * (N - V), D].
    """
    pixels = patches_lib.tubelets(frames, self.patch, TUBELET)
    table = self._table(frames, self.width)[None]
    narrow = self._table(frames, self.predictor_width)[None]
    predictions = []
    for kind, (visible, hidden) in enumerate(masks):
      tokens = self.encoder(
          patches_lib.take(pixels, visible), patches_lib.take(table, visible)
      )
      queries = vit.append_masks(
          self.predictor_embedder(tokens),
          self.mask_tokens[kind : kind + 1],
          patches_lib.take(narrow, visible),
          patches_lib.take(narrow, hidden),
      )
      predicted = self.predictor(queries)[:, tokens.shape[1] :]
      predictions.append(self.head(predicted).astype(jnp.float32))
    return predictions

  def _table(self, frames: jax.Array, channels: int) -> jax.Array:
    """Returns position embeddings of all tubelets, float32 [t, N, channels]."""
    _, time, height, width, _ = frames.shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    shape = (time // TUBELET, rows, columns)
    table = positions.sincos(shape, self.grid, channels)
    return jnp.asarray(table).reshape(shape[0], -1, channels)
