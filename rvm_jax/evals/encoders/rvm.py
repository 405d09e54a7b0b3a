"""RVM as a frozen encoder.

The features of a frame are the model's recurrent state after this frame. The
state is zero before the first frame and is not reset within a video.
"""

from collections.abc import Mapping
import dataclasses
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
  """Loads a checkpoint as an encoder.

  Args:
    path: path of a checkpoint file or of the workdir of a training run, or the
      name of a checkpoint in the package, as for `weights.load`.

  Raises:
    FileNotFoundError: there is nothing at the path, or only a run that has no
      checkpoint yet.
    ValueError: there is no checkpoint of RVM at the path.
  """
  model, params = weights.load(path)
  return from_model(name_model(model), model, params)


def load_untrained(path: str) -> encoder_lib.FrozenEncoder:
  """Makes an untrained encoder of the same architecture as a checkpoint.

  Its parameters are initialized with seed 0; those of the checkpoint are not
  used. The errors are those of `load`.

  Args:
    path: path of the checkpoint, as for `load`.
  """
  model, _ = weights.load(path)
  init = functools.partial(model.init, method='encode')
  frames = np.zeros((1, 1, model.patch, model.patch, 3), np.float32)
  params = jax.jit(init)(jax.random.key(0), frames)['params']
  return from_model(f'untrained {name_model(model)}', model, params)


def from_model(
    name: str, model: rvm.RVM, params: Mapping[str, Any]
) -> encoder_lib.FrozenEncoder:
  """Makes an encoder from a model and its parameters.

  The features have D = model.width channels and include `cls`.

  Args:
    name: name of the model in tables.
    model: the Flax module, with or without a decoder.
    params: parameters of `model`.
  """

  def apply(params, frames, state):
    tokens = streaming.encode(model, params, frames, state)  # [B, T, 1 + N, D]
    grid = patches_lib.grid(*frames.shape[2:4], model.patch)
    patches = tokens[:, :, 1:].reshape(*tokens.shape[:2], *grid, model.width)
    return encoder_lib.FrameFeatures(patches, tokens[:, :, 0]), tokens[:, -1]

  def init_state(batch, height, width):
    rows, columns = patches_lib.grid(height, width, model.patch)
    return jnp.zeros((batch, 1 + rows * columns, model.width), jnp.float32)

  encoder = encoder_lib.from_apply(
      name,
      trees.fingerprint(params),
      model.patch,
      apply,
      params,
      scaling='RGB in [0, 1]',
      init_state=init_state,
  )
  # With `content_first`, the features of all patches of a frame share a large
  # vector, which differs between the first frame and later ones
  # (docs/results.md). Label propagation is better if this vector is subtracted.
  return dataclasses.replace(encoder, center_frames=model.content_first)


def name_model(model: rvm.RVM) -> str:
  """Returns the name of a model, such as 'RVM-L' or 'RVM 96 wide'.

  Args:
    model: the Flax module. If it has the sizes of a model of the paper, it gets
      the paper's name; otherwise it is named by its width.
  """
  for size, widths in rvm.SIZES.items():
    if all(getattr(model, key) == value for key, value in widths.items()):
      return f'RVM-{size}'
  return f'RVM {model.width} wide'
