"""DINOv3: a ViT for images with rotary positions and registers.

Sources: Siméoni et al., arXiv 2508.10104; sizes, names and numbers of the
released weights: github.com/facebookresearch/dinov3 and Hugging Face's
`DINOv3ViTModel`. The weights have a licence of their own, the DINOv3 License,
and are not distributed with this project.

Inputs are RGB in [0, 1], normalised with the mean (.485, .456, .406) and the
standard deviation (.229, .224, .225).
"""

from collections.abc import Mapping
import functools
import itertools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.baselines import images
from rvm_jax.baselines import layers
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming
from rvm_jax.baselines import sizes

# Number of heads of the released models by their width: S and S+ (12 blocks),
# B (12), L (24), H+ (32) and 7B (40). S+, H+ and 7B have gated MLPs. A head has
# 64 channels, those of 7B have 128.
HEADS = {384: 6, 768: 12, 1024: 16, 1280: 20, 4096: 32}


class DINOv3(images.ImageEncoder):
  """A ViT with rotary positions.

  The other attributes are those of `images.ImageEncoder`. Models of the sizes
  S+, H+ and 7B have gated MLPs; released models have 4 registers, and no bias
  of keys.

  Attributes:
    rope_base: base of the wavelengths of the rotary positions.
  """

  family: ClassVar[str] = 'dinov3'

  patch: int = 16
  epsilon: float = 1e-5
  rope_base: float = 100.0

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
    prefix = [
        self.add_tokens('cls_token', 1),
        self.add_tokens('registers', self.num_registers),
    ]
    _, rows, columns, _ = x.shape
    angles = compute_angles(
        rows, columns, self.width // self.num_heads, self.rope_base
    )
    # Prefix tokens have no position, so that they are not rotated.
    angles = np.pad(angles, ((self.num_prefix, 0), (0, 0)))
    rotate = functools.partial(rotate_halves, angles)
    return self.transform(prefix, x, rotate)


def compute_angles(
    rows: int, columns: int, head_width: int, base: float
) -> np.ndarray:
  """Returns the angles by which queries and keys of patches are rotated.

  The centres of the patches lie between -1 and 1 on both axes, for every size
  of the grid.

  Args:
    rows: h, number of rows of patches.
    columns: w, number of columns of patches.
    head_width: C, number of channels of a head, a multiple of 4.
    base: approximate ratio of the longest wavelength to the shortest: there are
      C / 4 wavelengths, from 1 to base^((C - 4) / C).

  Returns:
    Angles in radians, float64 [h * w, C / 2]. The first half of the channels
    follows from the row of a patch, the second half from its column.
  """
  frequencies = base ** -np.arange(0, 1, 4 / head_width)
  y, x = (2 * (np.arange(n) + 0.5) / n - 1 for n in (rows, columns))
  y, x = (2 * np.pi * np.outer(axis, frequencies) for axis in (y, x))
  y = np.broadcast_to(y[:, None], (rows, columns, y.shape[1]))
  x = np.broadcast_to(x[None], y.shape)
  return np.concatenate([y, x], axis=2).reshape(rows * columns, -1)


def rotate_halves(angles: np.ndarray, x: jax.Array) -> jax.Array:
  """Rotates pairs of channels: i and i + C / 2 are a pair.

  Args:
    angles: angle of each pair in radians, [N, C / 2].
    x: queries or keys, [B, N, heads, C].

  Returns:
    The rotated queries or keys, in the shape and dtype of `x`.
  """
  dtype = jnp.promote_types(x.dtype, jnp.float32)
  cos, sin = (
      jnp.asarray(table[None, :, None], dtype)
      for table in (np.cos(angles), np.sin(angles))
  )
  first, second = jnp.split(x.astype(dtype), 2, axis=-1)
  turned = [first * cos - second * sin, second * cos + first * sin]
  return jnp.concatenate(turned, axis=-1).astype(x.dtype)


# Keys of a block in Hugging Face's files; since its release 5, keys in memory
# begin with `model.`.
_BLOCK = r'(?:model\.)?layer\.(\d+)\.'
_ORIGINAL = r'blocks\.(\d+)\.'
_PATH = r'blocks_\1/'

TABLE = renaming.Table(
    renames={
        r'(?:embeddings\.)?cls_token': 'cls_token',
        r'embeddings\.register_tokens|storage_tokens': 'registers',
        r'embeddings\.patch_embeddings|patch_embed\.proj': 'patches',
        r'norm': 'norm',
        # Hugging Face.
        _BLOCK + r'norm([12])': _PATH + r'norm\2',
        _BLOCK + r'layer_scale([12])\.lambda1': _PATH + r'scale\2',
        _BLOCK + r'attention\.q_proj': _PATH + 'attention/query',
        _BLOCK + r'attention\.k_proj': _PATH + 'attention/key',
        _BLOCK + r'attention\.v_proj': _PATH + 'attention/value',
        _BLOCK + r'attention\.o_proj': _PATH + 'attention/out',
        _BLOCK + r'mlp\.(up|down|gate)_proj': _PATH + r'mlp/\2',
        # The original repository. It keeps a bias for keys, but multiplies it
        # by zero.
        _ORIGINAL + r'norm([12])': _PATH + r'norm\2',
        _ORIGINAL + r'ls([12])\.gamma': _PATH + r'scale\2',
        _ORIGINAL
        + r'attn\.qkv\.weight': tuple(
            _PATH + f'attention/{name}/kernel'
            for name in ('query', 'key', 'value')
        ),
        _ORIGINAL
        + r'attn\.qkv\.bias': (
            _PATH + 'attention/query/bias',
            None,
            _PATH + 'attention/value/bias',
        ),
        _ORIGINAL + r'attn\.proj': _PATH + 'attention/out',
        _ORIGINAL + r'mlp\.(?:fc1|w2)': _PATH + 'mlp/up',
        _ORIGINAL + r'mlp\.(?:fc2|w3)': _PATH + 'mlp/down',
        _ORIGINAL + r'mlp\.w1': _PATH + 'mlp/gate',
    },
    dropped={
        r'(?:embeddings\.)?mask_token': 'used in training only',
        r'local_cls_norm\..*': 'used in training only',
        r'.*\.attn\.qkv\.bias_mask': 'it says that keys have no bias',
        r'rope_embed\.periods': 'they are computed',
    },
)


def from_config(name: str, config: Mapping[str, Any]) -> DINOv3:
  """Makes the model that Hugging Face's config describes.

  Args:
    name: path of the config, for error messages.
    config: contents of `config.json`.

  Raises:
    ValueError: the config lacks a size, or describes a model that this module
      does not compute.
  """
  keys = 'hidden_size num_hidden_layers num_attention_heads intermediate_size'
  keys += ' use_gated_mlp num_register_tokens patch_size layer_norm_eps'
  width, depth, heads, hidden, gated, registers, patch, epsilon = sizes.select(
      name, config, keys.split(), num_channels=3
  )
  act = 'silu' if gated else 'gelu'
  (base,) = sizes.select(name, config, ['rope_theta'], hidden_act=act)
  flags = [f'{part}_bias' for part in ('query', 'key', 'value', 'proj', 'mlp')]
  has_bias = sizes.select(name, config, flags)
  return DINOv3(
      width=width,
      depth=depth,
      num_heads=heads,
      mlp_width=hidden,
      gated=gated,
      num_registers=registers,
      biases=tuple(itertools.compress(layers.BIASES, has_bias)),
      patch=patch,
      epsilon=epsilon,
      rope_base=base,
  )


def is_original(specs: Mapping[str, reading.Spec]) -> bool:
  """Tells whether arrays are those of a file of the original repository."""
  return 'storage_tokens' in specs and 'patch_embed.proj.weight' in specs


def from_arrays(arrays: reading.Arrays) -> DINOv3:
  """Makes the model that a file of the original repository belongs to.

  Args:
    arrays: arrays of the file.

  Raises:
    ValueError: an array that tells a size is missing or has an unexpected
      number of axes; or the width is not that of a released model, so that the
      number of heads is not known.
  """
  width = sizes.find_size(arrays, 'cls_token', 2, 3)
  gated = any(key.endswith('mlp.w1.weight') for key in arrays.specs)
  hidden = _ORIGINAL + (r'mlp\.w1\.weight' if gated else r'mlp\.fc1\.weight')
  has_bias = any(key.endswith('attn.qkv.bias') for key in arrays.specs)
  return DINOv3(
      width=width,
      depth=sizes.count_blocks(arrays, _ORIGINAL),
      num_heads=sizes.find_heads(arrays, width, HEADS),
      mlp_width=sizes.find_size(arrays, hidden, 0, 2),
      gated=gated,
      num_registers=sizes.find_size(arrays, 'storage_tokens', 1, 3),
      biases=('query', 'value', 'out', 'mlp') if has_bias else ('out', 'mlp'),
      patch=sizes.find_size(arrays, r'patch_embed\.proj\.weight', 3, 4),
  )
