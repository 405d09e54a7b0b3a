"""Measures how long loading a published checkpoint takes, and how much memory.

    python benchmarks/baselines.py dinov2:large:original dinov2:base:original

Each argument is FAMILY:SIZE:LAYOUT. Without any, all of `LAYOUTS` are measured,
in the size L. A checkpoint with random numbers in the layout of the published
one is written to a temporary folder, loaded in a new process by
`rvm_jax.baselines.load`, and deleted. The folder needs up to 2.5 GB.

The table has the size of the file, the seconds of the call of `load` (the file
was just written, so that it is in the cache of the file system), and the peak
of the resident memory of the process above what it had before the call, with
all libraries imported. Resident memory includes the pages of the file that are
mapped at that time.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from absl import app
import numpy as np
from safetensors import numpy as safetensors_numpy

# Width, blocks, hidden width of the MLP, heads.
SIZES = {
    'small': (384, 12, 1536, 6),
    'base': (768, 12, 3072, 12),
    'large': (1024, 24, 4096, 16),
}

# Lines of keys and shapes in published files. `*` stands for the number of a
# block, D for the width and M for the hidden width of MLPs.
_NORMS = """
    blocks.*.norm1.weight D
    blocks.*.norm1.bias D
    blocks.*.norm2.weight D
    blocks.*.norm2.bias D
    norm.weight D
    norm.bias D
    """
_MLPS = """
    blocks.*.mlp.fc1.weight M D
    blocks.*.mlp.fc1.bias M
    blocks.*.mlp.fc2.weight D M
    blocks.*.mlp.fc2.bias D
    """
_SCALES = """
    blocks.*.ls1.gamma D
    blocks.*.ls2.gamma D
    """
_FUSED = """
    blocks.*.attn.qkv.weight 3D D
    blocks.*.attn.qkv.bias 3D
    blocks.*.attn.proj.weight D D
    blocks.*.attn.proj.bias D
    """


def _separate(query: str, key: str, value: str, out: str) -> str:
  """Returns lines of attention whose layers have these names."""
  names = (query, key, value, out)
  return ''.join(
      f'blocks.*.attention.{name}.weight D D\n'
      f'blocks.*.attention.{name}.bias D\n'
      for name in names
  )


# The lines of a file, and replacements in its keys.
LAYOUTS = {
    'dinov2:original': (
        _NORMS + _MLPS + _SCALES + _FUSED + """
        cls_token 1 1 D
        pos_embed 1 1370 D
        mask_token 1 D
        patch_embed.proj.weight D 3 14 14
        patch_embed.proj.bias D
        """,
        {},
    ),
    'dinov2:huggingface': (
        _NORMS
        + _MLPS
        + _SCALES
        + _separate(
            'attention.query',
            'attention.key',
            'attention.value',
            'output.dense',
        )
        + """
        embeddings.cls_token 1 1 D
        embeddings.mask_token 1 D
        embeddings.position_embeddings 1 1370 D
        embeddings.patch_embeddings.projection.weight D 3 14 14
        embeddings.patch_embeddings.projection.bias D
        """,
        {
            'blocks.': 'encoder.layer.',
            'ls1.gamma': 'layer_scale1.lambda1',
            'ls2.gamma': 'layer_scale2.lambda1',
            'norm.': 'layernorm.',
        },
    ),
    'dinov3:original': (
        _NORMS + _MLPS + _SCALES + _FUSED + """
        blocks.*.attn.qkv.bias_mask 3D
        cls_token 1 1 D
        storage_tokens 1 4 D
        mask_token 1 D
        patch_embed.proj.weight D 3 16 16
        patch_embed.proj.bias D
        rope_embed.periods 16
        """,
        {},
    ),
    'dinov3:huggingface': (
        _NORMS
        + _MLPS
        + _SCALES
        + _separate('q_proj', 'k_proj', 'v_proj', 'o_proj')
        + """
        embeddings.cls_token 1 1 D
        embeddings.mask_token 1 1 D
        embeddings.register_tokens 1 4 D
        embeddings.patch_embeddings.weight D 3 16 16
        embeddings.patch_embeddings.bias D
        """,
        {
            'blocks.': 'layer.',
            'ls1.gamma': 'layer_scale1.lambda1',
            'ls2.gamma': 'layer_scale2.lambda1',
            'fc1': 'up_proj',
            'fc2': 'down_proj',
        },
    ),
    # The files have two encoders.
    'vjepa:original': (
        _NORMS + _MLPS + _FUSED + """
        pos_embed 1 1568 D
        patch_embed.proj.weight D 3 2 16 16
        patch_embed.proj.bias D
        """,
        {},
    ),
    'vjepa2:huggingface': (
        _NORMS + _MLPS + _separate('query', 'key', 'value', 'proj') + """
        encoder.embeddings.patch_embeddings.proj.weight D 3 2 16 16
        encoder.embeddings.patch_embeddings.proj.bias D
        """,
        {'blocks.': 'encoder.layer.', 'norm.': 'encoder.layernorm.'},
    ),
}

_CHILD = """
import json, re, sys, time
from rvm_jax import baselines
if sys.argv[1].endswith('.pth'):
  import torch
def peak():
  # Unlike that of getrusage, it does not start with the parent's memory.
  status = open('/proc/self/status').read()
  return 1024 * int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1])
before, start = peak(), time.perf_counter()
baselines.load(sys.argv[1])
seconds = time.perf_counter() - start
print(json.dumps([seconds, peak() - before]))
"""


def main(argv: list[str]):
  """Measures the checkpoints that the arguments name."""
  names = argv[1:]
  if not names:
    names = [':large:'.join(key.split(':')) for key in LAYOUTS]
  print('| checkpoint | file, GB | seconds | peak, GB | peak / file |')
  print('|---|---|---|---|---|')
  for name in names:
    family, size, layout = name.split(':')
    with tempfile.TemporaryDirectory() as folder:
      path, num_bytes = write(pathlib.Path(folder), family, size, layout)
      done = subprocess.run(
          [sys.executable, '-c', _CHILD, str(path)],
          cwd=pathlib.Path(__file__).parents[1],
          stdout=subprocess.PIPE,
          check=True,
      )
    seconds, peak = json.loads(done.stdout)
    print(
        f'| {family} {size}, {layout} | {num_bytes / 1e9:.2f} | {seconds:.1f} |'
        f' {peak / 1e9:.2f} | {peak / num_bytes:.2f} |',
        flush=True,
    )


def write(
    folder: pathlib.Path, family: str, size: str, layout: str
) -> tuple[pathlib.Path, int]:
  """Writes a checkpoint.

  Args:
    folder: an empty folder.
    family: 'dinov2', 'dinov3', 'vjepa' or 'vjepa2'.
    size: one of `SIZES`.
    layout: 'original' or 'huggingface', as far as `LAYOUTS` has it.

  Returns:
    The path for `baselines.load`, and the bytes of the file of arrays.
  """
  rng = np.random.default_rng(0)
  arrays = {
      key: rng.standard_normal(shape, dtype=np.float32)
      for key, shape in shapes(f'{family}:{layout}', size).items()
  }
  if layout == 'original':
    # PyTorch is needed for this layout only.
    import torch

    path = file = folder / f'{family}.pth'
    content = {k: torch.from_numpy(x) for k, x in arrays.items()}
    if family == 'vjepa':
      content = {f'module.backbone.{k}': x for k, x in content.items()}
      copy = {k: x.clone() for k, x in content.items()}
      content = {'encoder': copy, 'target_encoder': content, 'epoch': 1}
    torch.save(content, path)
  else:
    path, file = folder, folder / 'model.safetensors'
    config = json.dumps(make_config(family, size))
    (folder / 'config.json').write_text(config)
    safetensors_numpy.save_file(arrays, file)
  return path, file.stat().st_size


def shapes(layout: str, size: str) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of the arrays of a layout by key."""
  width, depth, hidden, _ = SIZES[size]
  letters = {'D': width, '3D': 3 * width, 'M': hidden}
  lines, replacements = LAYOUTS[layout]
  found = {}
  for key, *sides in filter(None, map(str.split, lines.split('\n'))):
    for old, new in replacements.items():
      # The beginning of a key, or its end.
      if key.startswith(old):
        key = new + key.removeprefix(old)
      elif old in ('fc1', 'fc2') or key.endswith(old):
        key = key.replace(old, new)
    shape = tuple(letters[x] if x in letters else int(x) for x in sides)
    for i in range(depth if '*' in key else 1):
      found[key.replace('*', str(i))] = shape
  if layout == 'dinov3:huggingface':
    # Keys have no bias there.
    found = {k: v for k, v in found.items() if 'k_proj.bias' not in k}
  return found


def make_config(family: str, size: str) -> dict[str, Any]:
  """Returns the contents of config.json."""
  width, depth, hidden, heads = SIZES[size]
  config = {
      'hidden_size': width,
      'num_hidden_layers': depth,
      'num_attention_heads': heads,
  }
  if family == 'dinov2':
    return config | {
        'model_type': 'dinov2',
        'mlp_ratio': hidden // width,
        'use_swiglu_ffn': False,
        'image_size': 518,
        'patch_size': 14,
        'layer_norm_eps': 1e-6,
        'qkv_bias': True,
    }
  if family == 'vjepa2':
    return config | {
        'model_type': 'vjepa2',
        'crop_size': 256,
        'patch_size': 16,
        'frames_per_clip': 64,
        'tubelet_size': 2,
        'mlp_ratio': 4.0,
        'layer_norm_eps': 1e-6,
        'qkv_bias': True,
    }
  return config | {
      'model_type': 'dinov3_vit',
      'intermediate_size': hidden,
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
  }


if __name__ == '__main__':
  app.run(main)
