"""DINOv2: a ViT for images, with or without registers.

Sources: Oquab et al., arXiv 2304.07193; registers: Darcet et al., arXiv
2309.16588; sizes, names and numbers of the released weights:
github.com/facebookresearch/dinov2 and Hugging Face's `Dinov2Model` and
`Dinov2WithRegistersModel`. Code and weights have the licence Apache-2.0.

Inputs are RGB in [0, 1], normalised with the mean (.485, .456, .406) and the
standard deviation (.229, .224, .225).
"""

from collections.abc import Mapping
import math
import re
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import images
from rvm_jax.baselines import layers
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming
from rvm_jax.baselines import resizing
from rvm_jax.baselines import sizes

# Number of heads of the released models by their width: S (12 blocks), B (12),
# L (24) and g (40, with gated MLPs of 4096 channels). A head has 64 channels.
HEADS = {384: 6, 768: 12, 1024: 16, 1536: 24}


class DINOv2(images.ImageEncoder):
  """A ViT with learned position embeddings.

  The other attributes are those of `images.ImageEncoder`. Models of size g have
  gated MLPs; released models have 0 or 4 registers.

  Attributes:
    native_grid: number of rows of patches, and also of columns, that the
      position embeddings were trained for.
  """

  family: ClassVar[str] = 'dinov2'

  biases: tuple[str, ...] = layers.BIASES
  patch: int = 14
  epsilon: float = 1e-6
  native_grid: int = 37

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    """Encodes frames.

    Args:
      frames: normalised frames, float [B, T, H, W, 3].

    Returns:
      Normalised tokens of the last block, [B * T, 1 + registers + h * w, D].

    Raises:
      ValueError: H or W is not a multiple of the patch's side.
    """
    x = self.embed(frames)
    cls, positions = self._embed_positions(*x.shape[1:3])
    # Registers have no position embedding.
    prefix = [cls]
    if self.num_registers:
      prefix.append(self.add_tokens('registers', self.num_registers))
    return self.transform(prefix, x + positions.astype(self.dtype))

  def _embed_positions(
      self, rows: int, columns: int
  ) -> tuple[jax.Array, jax.Array]:
    """Returns the CLS token [1, 1, D] and position embeddings [1, h, w, D]."""
    cls = self.add_tokens('cls_token', 1)
    table = self.add_tokens('positions', 1 + self.native_grid**2)
    # Not in place: without jax.jit these are the arrays of the caller.
    cls = cls + table[:, :1]
    table = table[0, 1:].reshape(self.native_grid, self.native_grid, self.width)
    if (rows, columns) == (self.native_grid, self.native_grid):
      return cls, table[None]
    # Position embeddings are resized in float32 and by the rule of Hugging
    # Face. With registers they are resized with antialiasing, as in the
    # original code. Without registers they are not antialiased. The original
    # code does the same, but adds 0.1 to the size of the grid when it computes
    # the scale.
    table = table.astype(jnp.float32)
    if self.num_registers:
      shape = (rows, columns, self.width)
      return (
          cls,
          jax.image.resize(table, shape, 'bicubic', antialias=True)[None],
      )
    return cls, resizing.resize_bicubic(table, rows, columns)[None]


# Keys of Hugging Face have two forms. One is that of its files, which is also
# that of parameters in memory before its release 5; the other, such as
# `o_proj`, is that of parameters in memory since then.
_BLOCK = r'encoder\.layer\.(\d+)\.'
_ATTENTION = _BLOCK + r'attention\.'
# Blocks of models that were trained in chunks are numbered twice:
# blocks.CHUNK.BLOCK.
_ORIGINAL = r'blocks\.(?:\d+\.)?(\d+)\.'
_PATH = r'blocks_\1/'
_GATE_UP = (_PATH + 'mlp/gate', _PATH + 'mlp/up')

TABLE = renaming.Table(
    renames={
        r'embeddings\.cls_token|cls_token': 'cls_token',
        r'embeddings\.position_embeddings|pos_embed': 'positions',
        r'embeddings\.register_tokens|register_tokens': 'registers',
        r'embeddings\.patch_embeddings\.projection': 'patches',
        r'patch_embed\.proj': 'patches',
        r'layernorm|norm': 'norm',
        # Hugging Face.
        _BLOCK + r'norm([12])': _PATH + r'norm\2',
        _BLOCK + r'layer_scale([12])\.lambda1': _PATH + r'scale\2',
        _ATTENTION + r'attention\.(query|key|value)': _PATH + r'attention/\2',
        _ATTENTION + r'q_proj': _PATH + 'attention/query',
        _ATTENTION + r'k_proj': _PATH + 'attention/key',
        _ATTENTION + r'v_proj': _PATH + 'attention/value',
        _ATTENTION + r'(?:output\.dense|o_proj)': _PATH + 'attention/out',
        _BLOCK + r'mlp\.fc1': _PATH + 'mlp/up',
        _BLOCK + r'mlp\.(?:fc2|weights_out)': _PATH + 'mlp/down',
        _BLOCK + r'mlp\.weights_in': _GATE_UP,
        _BLOCK + r'mlp\.(gate|up|down)_proj': _PATH + r'mlp/\2',
        # The original repository.
        _ORIGINAL + r'norm([12])': _PATH + r'norm\2',
        _ORIGINAL + r'ls([12])\.gamma': _PATH + r'scale\2',
        _ORIGINAL
        + r'attn\.qkv': tuple(
            _PATH + f'attention/{name}' for name in ('query', 'key', 'value')
        ),
        _ORIGINAL + r'attn\.proj': _PATH + 'attention/out',
        _ORIGINAL + r'mlp\.fc1': _PATH + 'mlp/up',
        _ORIGINAL + r'mlp\.(?:fc2|w3)': _PATH + 'mlp/down',
        _ORIGINAL + r'mlp\.w12': _GATE_UP,
    },
    dropped={r'(?:embeddings\.)?mask_token': 'used in training only'},
)


def from_config(name: str, config: Mapping[str, Any]) -> DINOv2:
  """Makes the model that Hugging Face's config describes.

  Args:
    name: path of the config, for error messages.
    config: contents of `config.json`.

  Raises:
    ValueError: the config lacks a size, or describes a model that this module
      does not compute.
  """
  keys = 'hidden_size num_hidden_layers num_attention_heads mlp_ratio'
  keys += ' use_swiglu_ffn image_size patch_size layer_norm_eps qkv_bias'
  width, depth, heads, ratio, gated, image, patch, epsilon, has_bias = (
      sizes.select(
          name, config, keys.split(), hidden_act='gelu', num_channels=3
      )
  )
  num_registers = 0
  if config['model_type'] == 'dinov2_with_registers':
    (num_registers,) = sizes.select(name, config, ['num_register_tokens'])
  mlp_width = int(width * ratio)
  if gated:
    # Gated MLPs have two thirds of the width, rounded up to a multiple of 8.
    mlp_width = (int(mlp_width * 2 / 3) + 7) // 8 * 8
  return DINOv2(
      width=width,
      depth=depth,
      num_heads=heads,
      mlp_width=mlp_width,
      gated=gated,
      num_registers=num_registers,
      native_grid=image // patch,
      patch=patch,
      epsilon=epsilon,
      biases=layers.BIASES if has_bias else ('out', 'mlp'),
  )


def is_original(specs: Mapping[str, reading.Spec]) -> bool:
  """Tells whether arrays are those of a file of the original repository."""
  return 'pos_embed' in specs and any(
      re.fullmatch(_ORIGINAL + r'ls1\.gamma', key) for key in specs
  )


def from_arrays(arrays: reading.Arrays) -> DINOv2:
  """Makes the model that a file of the original repository belongs to.

  Args:
    arrays: arrays of the file.

  Raises:
    ValueError: an array that tells a size is missing or has an unexpected
      number of axes; or the width is not that of a released model, so that the
      number of heads is not known.
  """
  width = sizes.find_size(arrays, 'cls_token', 2, 3)
  gated = any(key.endswith('mlp.w12.weight') for key in arrays.specs)
  hidden = _ORIGINAL + (r'mlp\.w12\.weight' if gated else r'mlp\.fc1\.weight')
  num_positions = sizes.find_size(arrays, 'pos_embed', 1, 3)
  num_registers = 0
  if 'register_tokens' in arrays.specs:
    num_registers = sizes.find_size(arrays, 'register_tokens', 1, 3)
  return DINOv2(
      width=width,
      depth=sizes.count_blocks(arrays, _ORIGINAL),
      num_heads=sizes.find_heads(arrays, width, HEADS),
      mlp_width=sizes.find_size(arrays, hidden, 0, 2) // (1 + gated),
      gated=gated,
      num_registers=num_registers,
      native_grid=math.isqrt(num_positions - 1),
      patch=sizes.find_size(arrays, r'patch_embed\.proj\.weight', 3, 4),
  )
