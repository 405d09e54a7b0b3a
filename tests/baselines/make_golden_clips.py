"""Writes the golden files of the clip models, from PyTorch.

It needs PyTorch and transformers, which the tests do not:

    python tests/baselines/make_golden_clips.py [FOLDER [SEED]]

The models are tiny and their parameters random, drawn much wider than at the
start of a training, where attention is nearly uniform and hides mistakes. All
are computed in float64. A golden file holds

  config      the model's sizes, as JSON
  params/KEY  its parameters, float32, by their keys in a published file
  frames_i    frames of case i, float32 [B, T, H, W, 3]
  tokens_i    the tokens of case i, float64 [B, N, D]
  positions   for V-JEPA 2: positions of 7 rows within a native grid of 5

VideoMAE and V-JEPA 2 are computed by the classes of transformers. These know
one size of frames only. Other sizes follow the rules of the released RVM
notebook, which are implemented here with `torch.nn.functional.interpolate`.
V-JEPA 1, which transformers lacks, is implemented here as a whole.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F
import transformers

PATCH, TUBELET = 4, 2
VIDEOMAE = {
    'model_type': 'videomae',
    'image_size': 20,
    'patch_size': PATCH,
    'num_frames': 6,
    'tubelet_size': TUBELET,
    'hidden_size': 48,
    'num_hidden_layers': 2,
    'num_attention_heads': 3,
    'intermediate_size': 100,
    'layer_norm_eps': 1e-3,
    'use_mean_pooling': False,
    'hidden_act': 'gelu',
    'qkv_bias': True,
}
# 28 channels of a head: 8 are rotated by each axis, 4 by none.
VJEPA2 = {
    'model_type': 'vjepa2',
    'crop_size': 20,
    'patch_size': PATCH,
    'frames_per_clip': 6,
    'tubelet_size': TUBELET,
    'hidden_size': 56,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'mlp_ratio': 1.5,
    'layer_norm_eps': 1e-3,
    'hidden_act': 'gelu',
    'qkv_bias': True,
    # The predictor, which is dropped.
    'pred_hidden_size': 12,
    'pred_num_attention_heads': 2,
    'pred_num_hidden_layers': 1,
    'pred_num_mask_tokens': 1,
}
VJEPA = {'width': 48, 'depth': 2, 'num_heads': 3, 'num_frames': 16, 'grid': 4}


def main(folder: pathlib.Path, seed: int = 0):
  """Writes the files into a folder."""
  torch.set_default_dtype(torch.float64)
  with torch.no_grad():
    write(folder / 'videomae.npz', VIDEOMAE, *make_videomae(seed))
    write(folder / 'vjepa.npz', VJEPA, *make_vjepa(seed))
    params, cases, extra = make_vjepa2(seed)
    write(folder / 'vjepa2.npz', VJEPA2, params, cases, **extra)


def write(path, config, params, cases, **extra):
  """Writes one golden file."""
  arrays = {'config': np.array(json.dumps(config)), **extra}
  arrays |= {f'params/{k}': v.numpy().astype('f4') for k, v in params.items()}
  for i, (frames, tokens) in enumerate(cases):
    arrays |= {f'frames_{i}': frames.astype('f4'), f'tokens_{i}': tokens}
  np.savez_compressed(path, **arrays)
  print(path, path.stat().st_size, 'bytes')


def draw(rng, key, shape):
  """Draws a parameter; float64 with values that float32 holds."""
  if 'norm' in key and key.endswith('weight'):
    values = rng.normal(1, 0.2, shape)
  elif any(x in key for x in ('query.w', 'key.w')):
    values = rng.normal(0, 0.25, shape)
  else:
    values = rng.normal(0, 0.08, shape)
  return torch.tensor(values.astype('f4').astype('f8'))


def draw_frames(rng, *shape):
  """Draws normalised frames [B, T, H, W, 3]."""
  return rng.normal(size=(*shape, 3)).astype('f4').astype('f8')


def to_torch(frames, channels):
  """Returns frames as a tensor with the channels on another axis."""
  return torch.tensor(np.moveaxis(frames, -1, channels))


def redraw(model, rng):
  """Draws all parameters of a module again, and returns them by name."""
  for key, value in model.named_parameters():
    value.copy_(draw(rng, key, tuple(value.shape)))
  return {k: v for k, v in model.named_parameters() if 'predictor' not in k}


def make_videomae(seed):
  """Returns parameters by their names on disk, and cases."""
  rng = np.random.default_rng((seed, 1))
  model = transformers.VideoMAEModel(transformers.VideoMAEConfig(**VIDEOMAE))
  model.eval().double()
  named = redraw(model, rng)
  # save_pretrained writes the older names of two biases.
  params = {
      k.replace('query.bias', 'q_bias').replace('value.bias', 'v_bias'): v
      for k, v in named.items()
  }
  table = model.embeddings.position_embeddings[0]
  cases = []
  for batch, height, width in ((2, 20, 20), (1, 28, 12), (1, 16, 44)):
    frames = draw_frames(rng, batch, 6, height, width)
    # [t * 5 * 5, D] to [t, D, 5, 5], resized for each t.
    old = table.double().reshape(3, 5, 5, -1).permute(0, 3, 1, 2)
    scale = height / 20, width / 20
    new = F.interpolate(old, scale_factor=scale, mode='bicubic')
    new = new.permute(0, 2, 3, 1).reshape(1, -1, table.shape[-1])
    model.embeddings.position_embeddings = new
    model.embeddings.patch_embeddings.image_size = (height, width)
    tokens = model(to_torch(frames, 2)).last_hidden_state
    cases.append((frames, tokens.numpy()))
  return params, cases


def make_vjepa2(seed):
  """Returns parameters, cases and positions."""
  rng = np.random.default_rng((seed, 2))
  model = transformers.VJEPA2Model(transformers.VJEPA2Config(**VJEPA2))
  model.eval().double()
  params = redraw(model, rng)
  cases = []
  for batch, length, height, width in (
      (2, 6, 20, 20),
      (1, 10, 20, 20),
      (1, 4, 28, 12),
      (1, 2, 16, 44),
  ):
    frames = draw_frames(rng, batch, length, height, width)
    if (height, width) != (20, 20):
      ids = interpolated_ids(length // 2, height // 4, width // 4)
      for layer in model.encoder.layer:
        layer.attention.get_position_ids = lambda *_, ids=ids, **__: ids
    tokens = model(to_torch(frames, 2), skip_predictor=True).last_hidden_state
    cases.append((frames, tokens.numpy()))
  return params, cases, {'positions': interpolate(torch.arange(5.0), 7).numpy()}


def interpolate(row, size):
  """Resizes a row linearly."""
  return F.interpolate(row[None, None], size=size, mode='linear')[0, 0]


def interpolated_ids(length, height, width):
  """Returns frame, row and column of all tokens, within the native grid."""
  axes = (
      torch.arange(float(length)),
      interpolate(torch.arange(5.0), height),
      interpolate(torch.arange(5.0), width),
  )
  return [x.flatten() for x in torch.meshgrid(*axes, indexing='ij')]


def make_vjepa(seed):
  """Returns the parameters of a V-JEPA 1 encoder, and cases."""
  rng = np.random.default_rng((seed, 3))
  size, grid = VJEPA['width'], VJEPA['grid']
  # Faint tokens, so that the first norm shows its epsilon of 1e-6.
  shapes = {
      'pos_embed': (1, 8 * grid * grid, size),
      'patch_embed.proj.weight': (size, 3, TUBELET, PATCH, PATCH),
      'patch_embed.proj.bias': (size,),
  }
  params = {key: draw(rng, key, shape) * 2**-5 for key, shape in shapes.items()}
  for i in range(VJEPA['depth']):
    for name, shape in {
        'norm1.weight': (size,),
        'norm1.bias': (size,),
        'attn.qkv.weight': (3 * size, size),
        'attn.qkv.bias': (3 * size,),
        'attn.proj.weight': (size, size),
        'attn.proj.bias': (size,),
        'norm2.weight': (size,),
        'norm2.bias': (size,),
        'mlp.fc1.weight': (4 * size, size),
        'mlp.fc1.bias': (4 * size,),
        'mlp.fc2.weight': (size, 4 * size),
        'mlp.fc2.bias': (size,),
    }.items():
      params[f'blocks.{i}.{name}'] = draw(rng, name, shape)
    # Queries and keys, wider: 0.08 to 0.24.
    params[f'blocks.{i}.attn.qkv.weight'][: 2 * size] *= 3
  params |= {
      'norm.weight': draw(rng, 'norm.weight', (size,)),
      'norm.bias': draw(rng, 'norm.bias', (size,)),
  }
  params = {k: v.float().double() for k, v in params.items()}
  cases = []
  for batch, length, height, width in (
      (2, 16, 16, 16),
      (1, 16, 24, 12),
      (1, 6, 20, 16),
  ):
    frames = draw_frames(rng, batch, length, height, width)
    cases.append((frames, run_vjepa(params, to_torch(frames, 1)).numpy()))
  return params, cases


def run_vjepa(p, video):
  """Computes tokens of V-JEPA 1 (arXiv 2404.08471) for [B, 3, T, H, W]."""
  size, heads = VJEPA['width'], VJEPA['num_heads']

  def linear(name, x):
    return F.linear(x, p[f'{name}.weight'], p[f'{name}.bias'])

  # PyTorch's default is 1e-5, V-JEPA's is 1e-6.
  def norm(name, x):
    weight, bias = p[f'{name}.weight'], p[f'{name}.bias']
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-6)

  kernel = p['patch_embed.proj.weight']
  x = F.conv3d(
      video, kernel, p['patch_embed.proj.bias'], stride=kernel.shape[2:]
  )
  table = p['pos_embed'].reshape(8, VJEPA['grid'], VJEPA['grid'], size)
  scale = [new / old for new, old in zip(x.shape[2:], table.shape)]
  x = x + F.interpolate(
      table.permute(3, 0, 1, 2)[None], scale_factor=scale, mode='trilinear'
  )
  x = x.flatten(2).transpose(1, 2)
  for i in range(VJEPA['depth']):
    qkv = linear(f'blocks.{i}.attn.qkv', norm(f'blocks.{i}.norm1', x))
    q, k, v = (
        y.unflatten(2, (heads, -1)).transpose(1, 2) for y in qkv.chunk(3, dim=2)
    )
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x = x + linear(f'blocks.{i}.attn.proj', mixed)
    hidden = linear(f'blocks.{i}.mlp.fc1', norm(f'blocks.{i}.norm2', x))
    x = x + linear(f'blocks.{i}.mlp.fc2', F.gelu(hidden))
  return norm('norm', x)


if __name__ == '__main__':
  arguments = sys.argv[1:] or [pathlib.Path(__file__).parent / 'golden']
  main(pathlib.Path(arguments[0]), *map(int, arguments[1:]))
