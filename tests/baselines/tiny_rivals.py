"""Makes tiny rivals for tests: modules without attention, and checkpoints."""

import json
import pathlib
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

from rvm_jax.baselines import vjepa
from tests.baselines import published

FAMILIES = 'dinov2', 'dinov3', 'videomae', 'vjepa', 'vjepa2'
PATCH = 4


class ImageMeans(nn.Module):
  """Returns two prefix tokens, 1 and 2, and the mean colour of each patch."""

  family: ClassVar[str] = 'dinov2'
  tubelet: ClassVar[int] = 1
  num_prefix: ClassVar[int] = 2
  width: int = 3
  depth: int = 1
  patch: int = PATCH
  dtype: str = 'float32'

  def __call__(self, frames: jax.Array) -> jax.Array:
    means = average_patches(frames).reshape(-1, *grid(frames), 3)
    means = means.reshape(len(means), -1, 3)
    prefix = jnp.ones((len(means), 1, 3))
    return jnp.concatenate([prefix, 2 * prefix, means], 1)


class ClipMeans(nn.Module):
  """Returns the mean colour of each tubelet of two frames."""

  family: ClassVar[str] = 'videomae'
  tubelet: ClassVar[int] = 2
  num_prefix: ClassVar[int] = 0
  width: int = 3
  depth: int = 1
  patch: int = PATCH
  num_frames: int = 4
  dtype: str = 'float32'

  def __call__(self, frames: jax.Array) -> jax.Array:
    batch, time, *_ = frames.shape
    means = average_patches(frames).reshape(batch, time // 2, 2, -1, 3)
    return means.mean(2).reshape(batch, -1, 3)


def grid(frames):
  """Returns rows and columns of patches of frames [..., H, W, 3]."""
  return frames.shape[-3] // PATCH, frames.shape[-2] // PATCH


def average_patches(frames):
  """Returns mean colours of whole patches, [..., h, w, 3]."""
  rows, columns = grid(frames)
  frames = frames[..., : rows * PATCH, : columns * PATCH, :]
  lead = frames.shape[:-3]
  cut = frames.reshape(*lead, rows, PATCH, columns, PATCH, 3)
  return cut.mean((-4, -2))


def write(folder: pathlib.Path, family: str, seed: int = 0) -> pathlib.Path:
  """Writes a tiny checkpoint with random parameters.

  Args:
    folder: folder to write into, which is made.
    family: one of `FAMILIES`. Patches have 14 x 14 pixels in DINOv2, 16 x 16 in
      DINOv3, and 4 x 4 in the others.
    seed: seed of the parameters of an image model.

  Returns:
    The path to load: a folder of Hugging Face, or of V-JEPA 1 a file, which can
    be loaded after `let_vjepa_be_tiny`.
  """
  folder.mkdir(parents=True, exist_ok=True)
  path = folder / 'model.safetensors'
  if family in _IMAGE_CONFIGS:
    config = _IMAGE_CONFIGS[family]
    params = _draw(_list_shapes(family, config['patch_size']), seed)
  else:
    golden = published.read(family)
    config, params = golden.config, golden.params
  safetensors_numpy.save_file(params, path)
  if family == 'vjepa':
    return path
  (folder / 'config.json').write_text(json.dumps(config))
  return folder


def let_vjepa_be_tiny(monkeypatch):
  """Adds the width and the grid of the tiny V-JEPA 1 to the known ones."""
  golden = published.read('vjepa')
  num_positions = golden.params['pos_embed'].shape[1]
  monkeypatch.setitem(vjepa.ROWS, num_positions, golden.config['grid'])
  monkeypatch.setitem(
      vjepa.HEADS, golden.config['width'], golden.config['num_heads']
  )


_WIDTH = 32
_IMAGE_CONFIGS = {
    'dinov2': {
        'model_type': 'dinov2',
        'hidden_size': _WIDTH,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'mlp_ratio': 2,
        'use_swiglu_ffn': False,
        'image_size': 70,
        'patch_size': 14,
        'layer_norm_eps': 1e-6,
        'qkv_bias': True,
        'hidden_act': 'gelu',
        'num_channels': 3,
    },
    'dinov3': {
        'model_type': 'dinov3_vit',
        'hidden_size': _WIDTH,
        'num_hidden_layers': 1,
        'num_attention_heads': 2,
        'intermediate_size': 2 * _WIDTH,
        'use_gated_mlp': False,
        'num_register_tokens': 4,
        'patch_size': 16,
        'layer_norm_eps': 1e-5,
        'rope_theta': 100.0,
        'query_bias': True,
        'key_bias': False,
        'value_bias': True,
        'proj_bias': True,
        'mlp_bias': True,
        'hidden_act': 'gelu',
        'num_channels': 3,
    },
}
# Dense layers of a block by their keys: channels of the result and of the
# input, as multiples of the width.
_LAYERS = {
    'dinov2': {
        'encoder.layer.0.attention.attention.query': (1, 1),
        'encoder.layer.0.attention.attention.key': (1, 1),
        'encoder.layer.0.attention.attention.value': (1, 1),
        'encoder.layer.0.attention.output.dense': (1, 1),
        'encoder.layer.0.mlp.fc1': (2, 1),
        'encoder.layer.0.mlp.fc2': (1, 2),
    },
    'dinov3': {
        'layer.0.attention.q_proj': (1, 1),
        'layer.0.attention.k_proj': (1, 1),
        'layer.0.attention.v_proj': (1, 1),
        'layer.0.attention.o_proj': (1, 1),
        'layer.0.mlp.up_proj': (2, 1),
        'layer.0.mlp.down_proj': (1, 2),
    },
}


def _list_shapes(family, patch):
  """Returns the shapes of the arrays of an image model of one block."""
  layers = {
      key: (new * _WIDTH, old * _WIDTH)
      for key, (new, old) in _LAYERS[family].items()
  }
  shapes = {'embeddings.cls_token': (1, 1, _WIDTH)}
  if family == 'dinov2':
    block, final = 'encoder.layer.0.', 'layernorm'
    shapes['embeddings.position_embeddings'] = (1, 26, _WIDTH)
    layers['embeddings.patch_embeddings.projection'] = (_WIDTH, 3, patch, patch)
  else:
    block, final = 'layer.0.', 'norm'
    shapes['embeddings.register_tokens'] = (1, 4, _WIDTH)
    layers['embeddings.patch_embeddings'] = (_WIDTH, 3, patch, patch)
  for key, shape in layers.items():
    shapes[f'{key}.weight'] = shape
    if not key.endswith('k_proj'):
      shapes[f'{key}.bias'] = shape[:1]
  for name in ('norm1', 'norm2'):
    shapes[f'{block}{name}.weight'] = (_WIDTH,)
    shapes[f'{block}{name}.bias'] = (_WIDTH,)
  for number in '12':
    shapes[f'{block}layer_scale{number}.lambda1'] = (_WIDTH,)
  shapes[f'{final}.weight'] = shapes[f'{final}.bias'] = (_WIDTH,)
  return shapes


def _draw(shapes, seed):
  """Returns random arrays, wide enough for attention to matter."""
  rng = np.random.default_rng(seed)
  return {
      key: np.float32(rng.normal(float('norm' in key), 0.2, shape))
      for key, shape in shapes.items()
  }
