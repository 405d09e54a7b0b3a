"""RVM: image encoder, recurrent core and masked-pixel decoder.

Source: Zoran et al., "Recurrent Video Masked Autoencoders", arXiv 2512.13684,
and the parameter shapes of the released checkpoints.
"""

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.models import decoder
from rvm_jax.models import inputs
from rvm_jax.models import layers
from rvm_jax.models import recurrent
from rvm_jax.models import vit
from rvm_jax.ops import images
from rvm_jax.ops import patches as patches_lib
from rvm_jax.ops import positions


def _size(width, layers, heads, mlp, core_heads, core_mlp):
  """Returns the arguments of `RVM` that tell the released sizes apart."""
  return dict(
      width=width,
      encoder_layers=layers,
      encoder_heads=heads,
      encoder_mlp=mlp,
      core_heads=core_heads,
      core_mlp=core_mlp,
  )


# Sizes of the released checkpoints. The 16 heads of H's core are an assumption,
# taken over from its encoder. The published size of H's file cannot confirm it,
# because it is the same for any number of heads.
SIZES = {
    'S': _size(384, 12, 6, 1536, 8, 2048),
    'B': _size(768, 12, 12, 3072, 12, 3072),
    'L': _size(1024, 24, 16, 4096, 16, 4096),
    'H': _size(1280, 32, 16, 5120, 16, 5120),
}


class RVM(nn.Module):
  """Recurrent video masked autoencoder.

  Attributes:
    width: D, width of the encoder and of the recurrent core.
    encoder_layers: number of blocks in the encoder, a ViT.
    encoder_heads: number of attention heads in a block of the encoder.
    encoder_mlp: hidden width of the MLP in a block of the encoder.
    core_layers: number of blocks in the transformer inside the core's gates.
    core_heads: number of attention heads in a block of the core.
    core_mlp: hidden width of the MLP in a block of the core.
    decoder_width: E, width of the decoder.
    decoder_layers: number of blocks in the decoder. With 0 the model has no
      decoder: it can encode frames but not predict pixels.
    decoder_heads: number of attention heads in a block of the decoder.
    decoder_mlp: hidden width of the MLP in a block of the decoder.
    patch: P, side of a patch in pixels.
    dtype: dtype of the matrix products, 'float32' or 'bfloat16'. Parameters,
      state, softmax and the statistics of norms are float32 in either case.
    attention: implementation of attention: 'auto', 'xla', 'cudnn' or
      'pallas_tpu', see `ops.attention.attend`.
    remat: how much of the forward pass is kept for the backward pass: 'none',
      'dots', 'attention' or 'full', see `stacks.rematerialise`.
    scan_layers: whether the blocks of each part run in one loop, see
      `stacks.apply_blocks`.
    content_first: whether the decoder is told the place of each source token,
      and training starts from `content_first.favour`. This helps small models
      that train for minutes. With False, as in the released models, the decoder
      knows a token's place only as far as its features tell it.
  """

  width: int
  encoder_layers: int
  encoder_heads: int
  encoder_mlp: int
  core_heads: int
  core_mlp: int
  core_layers: int = 4
  decoder_width: int = 512
  decoder_layers: int = 8
  decoder_heads: int = 16
  decoder_mlp: int = 2048
  patch: int = 16
  dtype: str = 'float32'
  attention: str = 'auto'
  remat: str = 'none'
  scan_layers: bool = False
  content_first: bool = False

  @property
  def core(self) -> Callable[..., nn.Module]:
    """The class of the recurrent core, which ablations replace."""
    return recurrent.GatedTransformerCore

  def setup(self):
    """Makes the parts of the model, whose names begin the parameters' paths."""
    for part, width, heads in (
        ('encoder', self.width, self.encoder_heads),
        ('core', self.width, self.core_heads),
        ('decoder', self.decoder_width, self.decoder_heads),
    ):
      if width % heads:
        raise ValueError(
            f'{part}_heads={heads} must divide the {part} width {width}'
        )
    dtype = jnp.dtype(self.dtype)
    common: dict[str, Any] = dict(
        dtype=dtype,
        attention=self.attention,
        remat=self.remat,
        scan_layers=self.scan_layers,
    )
    token_init = nn.initializers.normal(0.02, jnp.float32)
    self.cls_token = self.param('cls_token', token_init, (1, self.width))
    self.tokenizer = vit.Tokenizer(self.width, self.patch, dtype)
    self.encoder = vit.VisionTransformer(
        self.encoder_layers, self.encoder_heads, self.encoder_mlp, **common
    )
    self.rnn_core = self.core(
        self.width, self.core_layers, self.core_heads, self.core_mlp, **common
    )
    if self.decoder_layers:
      self.mask_token = self.param(
          'mask_token', token_init, (1, self.decoder_width)
      )
      embed = functools.partial(
          nn.Dense, self.decoder_width, dtype=dtype, kernel_init=layers.XAVIER
      )
      self.decoder_embedder = embed()
      self.delta_embedder = embed()
      self.decoder = layers.CrossTransformer(
          self.decoder_layers, self.decoder_heads, self.decoder_mlp, **common
      )
      self.detokenizer = decoder.Detokenizer(self.patch, dtype)

  def encode(
      self, frames: jax.Array, state: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """Encodes frames into features by updating the state frame by frame.

    A video may be encoded in parts: if each call is given the state that the
    call before returned, the features are those of the whole video. So a stream
    of any length takes constant memory.

    Args:
      frames: [B, T, H, W, 3], uint8, or float in [0, 1]; H and W are multiples
        of `patch`.
      state: float32 [B, 1 + N, D], the state that an earlier call returned;
        None at the start of a video.

    Returns:
      features: float32 [B, T, 1 + N, D], the state after each frame: the CLS
        token, and then the N tokens of the patches in raster order.
      state: float32 [B, 1 + N, D], the state after the last frame.

    Raises:
      ValueError: `frames` or `state` does not have this shape and dtype.
    """
    inputs.check_frames('frames', frames)
    batch, _, height, width, _ = frames.shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    shape = (batch, 1 + rows * columns, self.width)
    if state is None:
      state = jnp.zeros(shape, jnp.float32)
    elif state.shape != shape or state.dtype != jnp.float32:
      raise ValueError(
          f'state must be float32 of the shape {shape} that frames'
          f' {frames.shape} give, got {state.dtype} {state.shape}'
      )
    return self.rnn_core(self._encode_frames(frames), state)

  def update_gates(self, frames: jax.Array) -> jax.Array:
    """Returns how far each frame of a video replaces the state, from 0 to 1.

    Args:
      frames: [B, T, H, W, 3], as for `encode`.

    Returns:
      The update gates, float32 [B, T, 1 + N, D].
    """
    states, _ = self.encode(frames)
    return self.rnn_core.update_gates(self._encode_frames(frames), states)

  def __call__(
      self,
      source: jax.Array,
      target: jax.Array,
      deltas: jax.Array,
      visible: jax.Array,
  ) -> jax.Array:
    """Predicts target frames from source frames and some target patches.

    Args:
      source: [B, T, H, W, 3], uint8, or float in [0, 1], source frames, of
        which all patches are visible to the model.
      target: [B, K, H, W, 3], uint8, or float in [0, 1], frames of the same
        videos, of which only the patches in `visible` are visible to the model.
      deltas: int [B, K], number of frames from the first source frame to each
        target, 0 to 63. Under `jax.jit`, where values cannot be checked, a
        delta outside of this range makes the prediction of its target NaN.
      visible: int [B, K, V], raster indices of the visible patches.

    Returns:
      Predicted pixels of all patches, hidden and visible, float32
      [B, K, H, W, 3].

    Raises:
      ValueError: the shapes do not fit together, deltas are out of range, or
        the model has no decoder.
    """
    predicted = self.predict_patches(source, target, deltas, visible)
    height, width = target.shape[2:4]
    return patches_lib.unpatchify(predicted, height, width, self.patch)

  def predict_patches(
      self,
      source: jax.Array,
      target: jax.Array,
      deltas: jax.Array,
      visible: jax.Array,
  ) -> jax.Array:
    """Predicts the patches of target frames, for the arguments of `__call__`.

    A loss over all pixels is the same for patches as for frames. Putting the
    patches together to frames would cost copies of all predicted pixels and of
    their gradients.

    Returns:
      Predicted pixels of all patches, hidden and visible, float32
      [B, K, N, P * P * 3] as `patches.patchify` orders them.
    """
    if not self.decoder_layers:
      raise ValueError(
          'this RVM has no decoder (decoder_layers=0), as from a checkpoint of'
          ' encoder and core only: it encodes but cannot reconstruct'
      )
    inputs.check_targets(source, target, deltas, visible)
    batch, _, height, width, _ = target.shape
    rows, columns = patches_lib.grid(height, width, self.patch)
    features, _ = self.encode(source)

    # The encoder gets only the visible patches of the target frames.
    shown = jnp.take_along_axis(
        patches_lib.patchify(target, self.patch), visible[..., None], axis=2
    )  # [B, K, V, P * P * 3]
    shown = images.to_float(shown)
    table = positions.encoder_table(rows, columns, self.width)
    encoded = self._encode_patches(shown, table[visible])  # [B, K, 1 + V, D]

    queries = decoder.make_queries(
        self.decoder_embedder(encoded),
        self.mask_token,
        self.delta_embedder(decoder.encode_deltas(deltas)),
        visible,
        rows * columns,
    )  # [B, K, 1 + N, E]
    context = self.decoder_embedder(features)  # [B, T, 1 + N, E]
    if self.content_first:
      # `make_queries` adds the same embeddings to the queries.
      where = positions.sinusoid(rows * columns, self.decoder_width)
      context = context.at[:, :, 1:].add(where.astype(context.dtype))
    context = context.reshape(batch, -1, self.decoder_width)
    decoded = self.decoder(queries, context)
    pixels = self.detokenizer(decoded[:, :, 1:])  # CLS has no pixels.
    return pixels.astype(jnp.float32)

  def _encode_frames(self, frames: jax.Array) -> jax.Array:
    """Encodes whole frames, each on its own; returns [B, T, 1 + N, D]."""
    height, width = frames.shape[2:4]
    rows, columns = patches_lib.grid(height, width, self.patch)
    return self._encode_patches(
        images.to_float(patches_lib.patchify(frames, self.patch)),
        positions.encoder_table(rows, columns, self.width),
    )

  def _encode_patches(self, patches: jax.Array, table: jax.Array) -> jax.Array:
    """Encodes the patches of each frame on its own, with a CLS token.

    Args:
      patches: [B, F, M, P * P * 3], M patches of each of F frames.
      table: [M, D] or [B, F, M, D], position embeddings of the patches.

    Returns:
      The encoded CLS token and the encoded patches, [B, F, 1 + M, D].
    """
    tokens = self.tokenizer(patches, table)
    batch, num_frames, size, width = tokens.shape
    tokens = tokens.reshape(batch * num_frames, size, width)
    cls = jnp.broadcast_to(
        self.cls_token.astype(tokens.dtype), (tokens.shape[0], 1, width)
    )
    encoded = self.encoder(jnp.concatenate([cls, tokens], axis=1))
    return encoded.reshape(batch, num_frames, 1 + size, width)
