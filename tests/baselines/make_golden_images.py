"""Writes the golden files of the image models, from PyTorch.

It needs PyTorch and transformers, which the tests do not:

    python tests/baselines/make_golden_images.py [FOLDER]

The models are tiny and their parameters random, drawn much wider than at the
start of a training, where attention is nearly uniform and hides mistakes. All
are computed in float64 by the classes of transformers. These compute resized
position embeddings and rotary angles in float32 nevertheless. A golden file
holds

  config      contents of the config.json that transformers writes
  in_memory   JSON: for each parameter's name in memory, its key in the published
              layout and the rows of that array that it is
  params/KEY  its parameters, float32, by their keys in the published layout
  frames_i    frames of case i, float32 [B, T, H, W, 3]
  tokens_i    the tokens of case i, float64 [B * T, N, D]
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
from safetensors import numpy as safetensors_numpy
import torch
import transformers

SIZES = {
    'hidden_size': 32,
    'num_hidden_layers': 2,
    'num_attention_heads': 2,
    'layer_norm_eps': 1e-3,
}
DINOV2 = {**SIZES, 'image_size': 70, 'patch_size': 14}
DINOV3 = {**SIZES, 'image_size': 40, 'patch_size': 8}

# Cases are (batch, frames, rows of patches, columns of patches). The position
# embeddings of DINOv2 are made for 5 rows and 5 columns.
CASES = [(2, 1, 5, 5), (1, 2, 3, 8), (1, 1, 9, 4)]

MODELS = {
    'dinov2': (
        transformers.Dinov2Model,
        transformers.Dinov2Config(**DINOV2, mlp_ratio=3),
    ),
    'dinov2_registers': (
        transformers.Dinov2WithRegistersModel,
        transformers.Dinov2WithRegistersConfig(
            **DINOV2, num_register_tokens=3, use_swiglu_ffn=True
        ),
    ),
    'dinov3': (
        transformers.DINOv3ViTModel,
        transformers.DINOv3ViTConfig(
            **DINOV3, num_register_tokens=2, intermediate_size=96
        ),
    ),
    'dinov3_gated': (
        transformers.DINOv3ViTModel,
        transformers.DINOv3ViTConfig(
            **DINOV3,
            num_register_tokens=4,
            intermediate_size=64,
            use_gated_mlp=True,
            hidden_act='silu',
            query_bias=False,
            key_bias=True,
            value_bias=False,
            mlp_bias=False,
            rope_theta=50.0,
        ),
    ),
}


def main(folder: pathlib.Path):
  """Writes the files into a folder."""
  torch.set_default_dtype(torch.float64)
  for seed, (name, (kind, config)) in enumerate(MODELS.items()):
    with torch.no_grad():
      arrays = make(kind(config).eval().double(), np.random.default_rng(seed))
    path = folder / f'{name}.npz'
    np.savez_compressed(path, **arrays)
    print(path, path.stat().st_size, 'bytes')


def make(model, rng):
  """Returns the arrays of a golden file."""
  for key, value in model.named_parameters():
    value.copy_(draw(rng, key, tuple(value.shape)))
  arrays = {}
  with tempfile.TemporaryDirectory() as temporary:
    model.save_pretrained(temporary)
    saved = pathlib.Path(temporary)
    arrays['config'] = np.array((saved / 'config.json').read_text())
    params = safetensors_numpy.load_file(saved / 'model.safetensors')
  in_memory = {
      key: find(value.numpy(), params)
      for key, value in model.named_parameters()
  }
  arrays['in_memory'] = np.array(json.dumps(in_memory))
  arrays |= {f'params/{k}': v.astype('f4') for k, v in params.items()}
  for i, (batch, length, rows, columns) in enumerate(CASES):
    patch = model.config.patch_size
    size = (batch, length, rows * patch, columns * patch, 3)
    frames = rng.normal(size=size).astype('f4')
    images = np.moveaxis(frames.reshape(-1, *size[2:]), -1, 1).astype('f8')
    tokens = model(torch.tensor(images)).last_hidden_state
    arrays |= {f'frames_{i}': frames, f'tokens_{i}': tokens.numpy()}
  return arrays


def draw(rng, key, shape):
  """Draws a parameter; float64 with values that float32 holds."""
  if key.endswith('lambda1') or 'norm' in key and key.endswith('weight'):
    values = rng.normal(1, 0.2, shape)
  elif any(x in key for x in ('q_proj.w', 'k_proj.w')):
    values = rng.normal(0, 0.25, shape)
  else:
    values = rng.normal(0, 0.08, shape)
  return torch.tensor(values.astype('f4').astype('f8'))


def find(value, params):
  """Returns the key of the array that equals a value, and its rows."""
  for key, array in params.items():
    if array.shape[1:] == value.shape[1:]:
      for start in range(0, len(array), len(value)):
        if np.array_equal(array[start : start + len(value)], value):
          return key, start, start + len(value)
  raise ValueError(f'no saved array is {value}')


if __name__ == '__main__':
  default = pathlib.Path(__file__).parent / 'golden'
  main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default)
