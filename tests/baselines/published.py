"""Checkpoints in the layouts in which they are published, for tests."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

from rvm_jax import baselines

GOLDEN = pathlib.Path(__file__).parent / 'golden'


class Golden:
  """A golden file: see make_golden_images.py and make_golden_clips.py.

  Attributes:
    config: contents of config.json.
    params: parameters by their keys in a published file.
    params_in_memory: parameters by their names in PyTorch's module, if the file
      tells them.
    cases: pairs of frames [B, T, H, W, 3] and the model's tokens.
    arrays: all arrays of the file.
  """

  def __init__(self, arrays):
    """Takes the arrays of a file."""
    self.arrays = arrays
    self.config = json.loads(str(arrays['config']))
    self.params = {
        key.removeprefix('params/'): array
        for key, array in arrays.items()
        if key.startswith('params/')
    }
    if 'in_memory' in arrays:
      self.params_in_memory = {
          name: self.params[key][start:stop]
          for name, (key, start, stop) in json.loads(
              str(arrays['in_memory'])
          ).items()
      }
    self.cases = [
        (arrays[f'frames_{i}'], arrays[f'tokens_{i}'])
        for i in range(sum(key.startswith('frames_') for key in arrays))
    ]


def read(name, folder=GOLDEN):
  """Reads a golden file."""
  with np.load(folder / f'{name}.npz') as file:
    return Golden(dict(file))


def write_folder(folder, config, params):
  """Writes a folder in the layout of Hugging Face and returns its path."""
  folder.mkdir()
  (folder / 'config.json').write_text(json.dumps(config))
  write_safetensors(folder / 'model.safetensors', params)
  return folder


def write_safetensors(path, params):
  """Writes a file of arrays and returns its path."""
  arrays = {key: np.ascontiguousarray(x) for key, x in params.items()}
  safetensors_numpy.save_file(arrays, path)
  return path


def fuse(params, names, qkv):
  """Gives parameters of Hugging Face the names of an original repository.

  Args:
    params: parameters by the keys of Hugging Face.
    names: parts of keys and what replaces them, in this order.
    qkv: what the keys of queries, keys and values have in common, which are one
      array in the original.
  """
  fused = {}
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


def differences(model, params, cases):
  """Returns the largest difference of tokens in each case, in float64."""
  found = []
  with jax.enable_x64():
    model = model.clone(dtype=jnp.float64)
    params = jax.tree.map(np.float64, params)
    for frames, tokens in cases:
      tokens_here = jax.jit(model.apply)({'params': params}, frames)
      assert tokens_here.dtype == np.float64
      assert tokens_here.shape == tokens.shape
      found.append(float(np.abs(tokens_here - tokens).max()))
  return found


def assert_same(found, expected):
  """Compares two parameter trees bit for bit."""
  assert jax.tree.structure(found) == jax.tree.structure(expected)
  jax.tree.map(np.testing.assert_array_equal, found, expected)


def count_parameters(model):
  """Returns the number of parameters of a model.

  It follows from those of models of one and two blocks, which are fast to
  trace.
  """
  one, two = (
      sum(x.size for x in jax.tree.leaves(baselines.shapes(shallow)))
      for shallow in (model.clone(depth=1), model.clone(depth=2))
  )
  return one + (model.depth - 1) * (two - one)
