"""RVM as a frozen encoder: the state after each frame, never reset."""

from collections.abc import Mapping
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.models import rvm
from rvm_jax.ops import patches as patches_lib
from rvm_jax.weights import trees


def load(path: str) -> encoder_lib.FrozenEncoder:
  """Loads a checkpoint, with the errors of `weights.load`.

  Args:
    path: a released file, a file of ours, or the workdir of a run.
  """
  model, params = weights.load(path)
  return from_model(name_model(model), model, params)


def load_untrained(path: str) -> encoder_lib.FrozenEncoder:
  """Makes a model of a checkpoint's sizes with fresh parameters of seed 0.

  Args:
    path: the checkpoint, as for `load`.
  """
  model, _ = weights.load(path)
  init = functools.partial(model.init, method='encode')
  frames = np.zeros((1, 1, model.patch, model.patch, 3), np.float32)
  params = jax.jit(init)(jax.random.key(0), frames)['params']
  return from_model(f'untrained {name_model(model)}', model, params)


def from_model(
    name: str, model: rvm.RVM, params: Mapping[str, Any]
) -> encoder_lib.FrozenEncoder:
  """Makes an encoder of an RVM: D = model.width, with a cls.

  Args:
    name: the row's name in tables.
    model: the module, with or without decoder.
    params: the module's parameters.
  """

  def apply(params, frames, state):
    tokens = streaming.encode(model, params, frames, state)  # [B, T, 1 + N, D]
    grid = patches_lib.grid(*frames.shape[2:4], model.patch)
    patches = tokens[:, :, 1:].reshape(*tokens.shape[:2], *grid, model.width)
    return encoder_lib.FrameFeatures(patches, tokens[:, :, 0]), tokens[:, -1]

  def init_state(batch, height, width):
    rows, columns = patches_lib.grid(height, width, model.patch)
    return jnp.zeros((batch, 1 + rows * columns, model.width), jnp.float32)

  return encoder_lib.from_apply(
      name,
      trees.fingerprint(params),
      model.patch,
      apply,
      params,
      scaling='RGB in [0, 1]',
      init_state=init_state,
  )


def name_model(model: rvm.RVM) -> str:
  """Returns 'RVM-L' for the paper's sizes, 'RVM 96 wide' for others."""
  for size, widths in rvm.SIZES.items():
    if all(getattr(model, key) == value for key, value in widths.items()):
      return f'RVM-{size}'
  return f'RVM {model.width} wide'
