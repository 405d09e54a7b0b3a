"""Rivals of RVM: frozen encoders of other projects, with their weights.

`load` reads the weights that these projects published, in one of two layouts: a
folder of Hugging Face, or an original file of the project itself. For each
family of encoders this package has a module with a Flax module and these names:

  TABLE                      `renaming.Table` with the keys of both layouts
  from_config(name, config)  makes the model of a config of Hugging Face
  from_arrays(arrays)        makes the model of an original file
  is_original(specs)         tells whether a file is an original one
"""

import os
import pathlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.baselines import dinov2
from rvm_jax.baselines import dinov3
from rvm_jax.baselines import reading
from rvm_jax.baselines import renaming
from rvm_jax.baselines import selection
from rvm_jax.baselines import sizes
from rvm_jax.baselines import videomae
from rvm_jax.baselines import vjepa
from rvm_jax.baselines import vjepa2

# Families by the `model_type` in Hugging Face's config.json.
_FAMILY_OF_TYPE = {
    'dinov2': dinov2,
    'dinov2_with_registers': dinov2,
    'dinov3_vit': dinov3,
    'videomae': videomae,
    'vjepa2': vjepa2,
}
_FAMILIES = {
    'DINOv2': dinov2,
    'DINOv3': dinov3,
    'VideoMAE': videomae,
    'V-JEPA': vjepa,
    'V-JEPA 2': vjepa2,
}


def load(path: str | os.PathLike[str]) -> tuple[nn.Module, dict[str, Any]]:
  """Loads a published checkpoint of an encoder.

  `model.apply({'params': params}, frames)` takes frames, float [B, T, H, W, 3],
  already normalised as the encoder expects. It returns the last layer's
  normalised tokens. An image model returns [B * T, num_prefix + h * w, D]: the
  prefix tokens (CLS, then registers) come first. A clip model returns
  [B, t * h * w, D], where t = T / tubelet.

  Args:
    path: path of a folder of Hugging Face or of an original file. The folder
      contains `config.json` and either `model.safetensors` or the parts that
      `model.safetensors.index.json` names. An original file is one of PyTorch,
      such as `dinov2_vitb14_pretrain.pth`, or a `.safetensors` file with the
      same arrays.

  Returns:
    The Flax module, which computes in float32 (`model.clone(dtype=...)` changes
    that), and its parameters, np.ndarrays: float32, or float64 where the
    checkpoint has it.

  Raises:
    FileNotFoundError: nothing exists at `path`, or a file of the folder is
      missing.
    ModuleNotFoundError: the file is one of PyTorch, which is not installed.
    ValueError: the checkpoint is damaged, belongs to an unknown model, does not
      have exactly the arrays of the model (all differences are listed), or has
      values that are not finite.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    config, arrays = reading.open_folder(path)
    name = f'{path / "config.json"}'
    (model_type,) = sizes.select(name, config, ['model_type'])
    if model_type not in _FAMILY_OF_TYPE:
      raise ValueError(
          f'{name}: model_type must be one of {", ".join(_FAMILY_OF_TYPE)}, got'
          f' {model_type!r}'
      )
    family = _FAMILY_OF_TYPE[model_type]
    model = family.from_config(name, config)
  else:
    arrays = selection.select_model(reading.open_file(path))
    family = _find_family(arrays)
    model = family.from_arrays(arrays)
  return model, renaming.read_params(arrays, family.TABLE, shapes(model))


def shapes(model: nn.Module) -> dict[str, Any]:
  """Returns the parameter tree of a model as `jax.ShapeDtypeStruct`s.

  Args:
    model: the Flax module of a family.
  """
  # The shapes of parameters do not depend on the number of patches, so that a
  # frame of one patch will do. Some clip models take clips of one length only.
  length = model.num_frames if hasattr(model, 'num_frames') else 1
  shape = (1, length, model.patch, model.patch, 3)
  frames = jax.ShapeDtypeStruct(shape, jnp.float32)
  init = model.clone(attention='xla').init
  # A key with a value would start JAX's backend and compile, which takes
  # memory beside the parameters.
  key = jax.eval_shape(jax.random.key, 0)
  return jax.eval_shape(init, key, frames)['params']


def _find_family(arrays: reading.Arrays) -> Any:
  """Returns the module of the family that an original file belongs to."""
  found = [
      name
      for name, family in _FAMILIES.items()
      if family.is_original(arrays.specs)
  ]
  if len(found) != 1:
    keys = ', '.join(list(arrays.specs)[:3])
    beside = pathlib.Path(arrays.name).parent / 'config.json'
    hint = f'; give the folder of {beside}' if beside.exists() else ''
    raise ValueError(
        f'{arrays.name} is not an original file of one of'
        f' {", ".join(_FAMILIES)}: its {len(arrays.specs)} arrays begin with'
        f' {keys or "none"}{hint}'
    )
  return _FAMILIES[found[0]]
