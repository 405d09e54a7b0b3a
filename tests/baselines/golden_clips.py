"""Golden files of clip models, and checkpoints made of them."""

import json
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

FOLDER = pathlib.Path(__file__).parent / 'golden'


class Golden(NamedTuple):
  """The contents of a golden file of `make_golden_clips.py`.

  Attributes:
    config: sizes of the model.
    params: parameters by their keys in a published file.
    cases: pairs of frames [B, T, H, W, 3] and the model's tokens [B, N, D].
    arrays: all arrays of the file.
  """

  config: dict[str, Any]
  params: dict[str, np.ndarray]
  cases: list[tuple[np.ndarray, np.ndarray]]
  arrays: dict[str, np.ndarray]


def read(family: str, folder: pathlib.Path = FOLDER) -> Golden:
  """Reads the golden file of a family."""
  with np.load(folder / f'{family}.npz') as file:
    arrays = dict(file)
  return Golden(
      json.loads(str(arrays['config'])),
      {
          key.removeprefix('params/'): array
          for key, array in arrays.items()
          if key.startswith('params/')
      },
      [
          (arrays[f'frames_{i}'], arrays[f'tokens_{i}'])
          for i in range(sum(key.startswith('frames_') for key in arrays))
      ],
      arrays,
  )


def write_folder(
    folder: pathlib.Path, config: dict[str, Any], params: dict[str, np.ndarray]
) -> pathlib.Path:
  """Writes a checkpoint as Hugging Face does, and returns its path."""
  folder.mkdir()
  (folder / 'config.json').write_text(json.dumps(config))
  safetensors_numpy.save_file(params, folder / 'model.safetensors')
  return folder


def write_file(
    path: pathlib.Path, params: dict[str, np.ndarray]
) -> pathlib.Path:
  """Writes arrays with original keys as a file, and returns its path."""
  safetensors_numpy.save_file(params, path)
  return path


def fuse(
    params: dict[str, np.ndarray], names: dict[str, str], qkv: str
) -> dict[str, np.ndarray]:
  """Gives parameters of Hugging Face the names of an original repository.

  Args:
    params: parameters by the keys of Hugging Face.
    names: parts of keys and what replaces them, in this order.
    qkv: what the keys of queries, keys and values have in common, which are one
      array in the original.
  """
  fused: dict[str, list[np.ndarray]] = {}
  original = {}
  for key, array in params.items():
    for old, new in names.items():
      key = key.replace(old, new)
    parts = [f'{qkv}.{name}.' for name in ('query', 'key', 'value')]
    part = next((part for part in parts if part in key), None)
    if part:
      # The parts stand in the order query, key, value.
      fused.setdefault(key.replace(part, 'attn.qkv.'), []).append(array)
    else:
      original[key] = array
  joined = {key: np.concatenate(arrays) for key, arrays in fused.items()}
  return original | joined


def compute(model, params, frames: np.ndarray) -> np.ndarray:
  """Computes tokens in float64, which must be switched on."""
  model = model.clone(dtype=jnp.float64)
  params = jax.tree.map(lambda x: x.astype(np.float64), params)
  tokens = jax.jit(model.apply)({'params': params}, frames.astype(np.float64))
  assert tokens.dtype == np.float64
  return tokens
