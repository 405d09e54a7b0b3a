"""VideoMAE: the encoder of a masked autoencoder for clips.

Sources: Tong et al., arXiv 2203.12602; sizes, names and numbers of the released
weights: github.com/MCG-NJU/VideoMAE and Hugging Face's `VideoMAEModel`. Their
licence is CC-BY-NC 4.0 (non-commercial).

Inputs are 16 frames in [0, 1], normalised with the mean (.485, .456, .406) and
the standard deviation (.229, .224, .225).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.baselines import clips
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming
from rvm_jax.baselines import resizing
from rvm_jax.baselines import sizes
from rvm_jax.ops import positions

# Number of heads of the released models by their width. They are S (12 blocks),
# B (12), L (24) and H (32).
HEADS = {384: 6, 768: 12, 1024: 16, 1280: 16}

# Keys of Hugging Face's config, by the names of the values here.
_KEYS = {
    'width': 'hidden_size',
    'depth': 'num_hidden_layers',
    'num_heads': 'num_attention_heads',
    'mlp_width': 'intermediate_size',
    'patch': 'patch_size',
    'tubelet': 'tubelet_size',
    'num_frames': 'num_frames',
    'epsilon': 'layer_norm_eps',
    'image_size': 'image_size',
    'use_mean_pooling': 'use_mean_pooling',
}
_FINE_TUNED = (
    'a model fine-tuned for classes has no norm of its tokens, only fc_norm of'
    ' their mean; take a checkpoint of pre-training'
)


class VideoMAE(clips.ClipEncoder):
  """Encodes clips; the attributes are those of `clips.ClipEncoder`."""

  family: ClassVar[str] = 'videomae'
  biases: ClassVar[tuple[str, ...]] = ('query', 'value', 'out', 'mlp')

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    """Encodes clips.

    Args:
      frames: normalised frames, float [B, T, H, W, 3].

    Returns:
      Normalised tokens of the last block in raster order, [B, t * h * w, D].

    Raises:
      ValueError: T is not `num_frames`, or H or W is not a multiple of the
        patch's side.
    """
    x = self.embed(frames)
    # The original code and that of Hugging Face take no other length either.
    # Positions count through all tokens of a clip, so that they would have to
    # be extrapolated for a longer one.
    if frames.shape[1] != self.num_frames:
      raise ValueError(
          f'VideoMAE encodes clips of {self.num_frames} frames, got'
          f' {frames.shape[1]}; cut a video into such clips, and fill up the'
          ' last one'
      )
    table = self._resize_table(*x.shape[2:4])
    return self.transform(x + table.astype(x.dtype)[None])

  def _resize_table(self, height: int, width: int) -> jax.Array:
    """Returns the position embeddings of a grid, [t, h, w, D]."""
    side = self.rows
    length = self.num_frames // self.tubelet
    table = positions.sinusoid(length * side * side, self.width)
    table = table.reshape(length, side, side, self.width)
    if (height, width) == (side, side):
      return jnp.asarray(table)
    # As in the released RVM evaluation, the table of each tubelet is resized
    # with PyTorch's bicubic filter. The barrier keeps the compiler from
    # computing the result, which has up to 14 million entries, at compile time.
    table = np.moveaxis(table, 0, 2).reshape(side, side, -1)
    dtype = jnp.promote_types(self.dtype, jnp.float32)
    native = jax.lax.optimization_barrier(jnp.asarray(table, dtype))
    resized = resizing.resize_bicubic(native, height, width)
    resized = resized.reshape(height, width, length, self.width)
    return jnp.moveaxis(resized, 2, 0)


# Keys of Hugging Face begin with `videomae.` in models for pre-training.
_HF = r'(?:videomae\.)?'
_HF_BLOCK = _HF + r'encoder\.layer\.(\d+)\.'
_HF_ATTENTION = _HF_BLOCK + r'attention\.'
_BLOCK = r'encoder\.blocks\.(\d+)\.'
_PATH = r'blocks_\1/'

TABLE = renaming.Table(
    renames={
        # Hugging Face; the names of two biases differ on disk and in memory.
        _HF + r'embeddings\.patch_embeddings\.projection': 'patches',
        _HF_BLOCK + r'layernorm_before': _PATH + 'norm1',
        _HF_BLOCK + r'layernorm_after': _PATH + 'norm2',
        _HF_ATTENTION
        + r'attention\.(query|key|value)': _PATH
        + r'attention/\2',
        _HF_ATTENTION + r'attention\.q_bias': _PATH + 'attention/query/bias',
        _HF_ATTENTION + r'attention\.v_bias': _PATH + 'attention/value/bias',
        _HF_ATTENTION + r'output\.dense': _PATH + 'attention/out',
        _HF_BLOCK + r'intermediate\.dense': _PATH + 'mlp/up',
        _HF_BLOCK + r'output\.dense': _PATH + 'mlp/down',
        _HF + r'layernorm': 'norm',
        # The original repository.
        r'encoder\.patch_embed\.proj': 'patches',
        _BLOCK + r'norm([12])': _PATH + r'norm\2',
        _BLOCK
        + r'attn\.qkv': tuple(
            _PATH + f'attention/{name}' for name in ('query', 'key', 'value')
        ),
        _BLOCK + r'attn\.q_bias': _PATH + 'attention/query/bias',
        _BLOCK + r'attn\.v_bias': _PATH + 'attention/value/bias',
        _BLOCK + r'attn\.proj': _PATH + 'attention/out',
        _BLOCK + r'mlp\.fc1': _PATH + 'mlp/up',
        _BLOCK + r'mlp\.fc2': _PATH + 'mlp/down',
        r'encoder\.norm': 'norm',
    },
    dropped={
        r'mask_token|(?:encoder_to_decoder|decoder)\..*': 'of the decoder',
    },
)


def from_config(name: str, config: Mapping[str, Any]) -> VideoMAE:
  """Makes the model that Hugging Face's config describes.

  Args:
    name: path of the config, for error messages.
    config: contents of `config.json`.

  Raises:
    ValueError: the config lacks a size, or describes a model that this module
      does not compute.
  """
  values = sizes.select(
      name,
      config,
      list(_KEYS.values()),
      hidden_act='gelu',
      num_channels=3,
      qkv_bias=True,
      qv_bias=True,
  )
  found = dict(zip(_KEYS, values, strict=True))
  if found.pop('use_mean_pooling'):
    raise ValueError(
        f'{name}: use_mean_pooling must be False, got True: {_FINE_TUNED}'
    )
  rows = found.pop('image_size') // found['patch']
  return VideoMAE(**found, rows=rows)


def is_original(specs: Mapping[str, reading.Spec]) -> bool:
  """Tells whether arrays are those of a file of the original repository."""
  # The keys of fine-tuned models do not begin with `encoder.`.
  return any(
      f'{prefix}blocks.0.attn.q_bias' in specs for prefix in ('encoder.', '')
  )


def from_arrays(arrays: reading.Arrays) -> VideoMAE:
  """Makes the model that a file of the original repository belongs to.

  Args:
    arrays: arrays of the file.

  Raises:
    ValueError: an array that tells a size is missing or has an unexpected
      number of axes, the width is not that of a released model, or the model is
      a fine-tuned one.
  """
  if 'encoder.norm.weight' not in arrays.specs:
    raise ValueError(
        f'{arrays.name} has no array encoder.norm.weight: {_FINE_TUNED}'
    )
  found = clips.read_sizes(arrays, HEADS, r'encoder\.')
  return VideoMAE(**found, rows=14, num_frames=16, epsilon=1e-6)
