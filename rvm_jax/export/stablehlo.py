"""One step of the recurrence as StableHLO: state in, state out.

A folder of two files, for the parameters of the larger models do not fit into
a program (2 GiB at most), and XLA takes long over large constants:

  step.stablehlo: the program, serialised by `jax.export`, for CPU, CUDA and
    TPU;
  params.safetensors: the parameters of encoder and core.

It needs JAX and nothing of this project:

  from jax import export
  from safetensors import numpy as safetensors

  with open('step.stablehlo', 'rb') as f:
    step = jax.jit(export.deserialize(bytearray(f.read())).call)
  device = jax.devices()[0]
  params = safetensors.load_file('params.safetensors')
  shape = batch, 1 + height // 16 * width // 16, params['cls_token'].size
  params, state = jax.device_put((params, np.zeros(shape, 'float32')), device)
  for frame in video:  # [B, H, W, 3]
    state = step(params, frame, state)

The state after a frame is also its features: first a vector for the whole
frame, then one for each patch. Later versions of JAX can read the program for
at least six months. Its arguments, without JAX: the parameters in the order of
their sorted names, then frame and state.
"""

from collections.abc import Mapping
import functools
import os
from typing import Any

import jax
from jax import export
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors

from rvm_jax import weights
from rvm_jax.export import check
from rvm_jax.models import rvm
from rvm_jax.ops import patches
from rvm_jax.storage import files
from rvm_jax.weights import trees

PLATFORMS = ('cpu', 'cuda', 'tpu')
PROGRAM, PARAMS = 'step.stablehlo', 'params.safetensors'


def write(
    out: str,
    model: rvm.RVM,
    params: Mapping[str, Any],
    *,
    batch: int | None,
    height: int | None,
    width: int | None,
    dtype: str,
) -> float:
  """Writes the folder `out`, read back and held against `model`.

  Args:
    out: path of the folder, which must not exist.
    model: an RVM with float32 products.
    params: of its encoder and core.
    batch: number of videos; None leaves it open. So do the next two.
    height: of the frames, in pixels, a multiple of the patch.
    width: of the frames.
    dtype: of the frames: 'float32', in [0, 1], or 'uint8'.

  Returns:
    The largest difference of a feature.

  Raises:
    ValueError: height or width is not a multiple of the patch.
    OSError: the folder is there already, or cannot be written.
    RuntimeError: the program does not reproduce the features.
  """
  with files.write_whole(out) as folder:
    program = _export_step(model, params, batch, height, width, dtype)
    os.mkdir(folder)
    weights.save_safetensors(os.path.join(folder, PARAMS), params)
    with open(os.path.join(folder, PROGRAM), 'wb') as f:
      f.write(program.serialize())
    errors = []
    for video in check.make_videos(model.patch, batch, height, width):
      expected = check.encode(model, params, video)
      frames = video if dtype == 'uint8' else np.float32(video) / 255
      found = _run(folder, frames, np.zeros_like(expected[:, 0]))
      errors.append(check.compare(found, expected))
    return max(errors)


def _export_step(model, params, batch, height, width, dtype):
  patch = model.patch
  rows, columns = patches.grid(height or patch, width or patch, patch)
  b = 'b' if batch is None else batch
  h = 'h' if height is None else rows
  w = 'w' if width is None else columns
  scope = export.SymbolicScope()
  shape = lambda text: export.symbolic_shape(text, scope=scope)
  names = {
      key.replace('/', '.'): jax.ShapeDtypeStruct(x.shape, x.dtype)
      for key, x in trees.flatten(params).items()
  }
  step = jax.jit(functools.partial(_step, model))
  # By default "float32" products are less than that on GPUs and TPUs.
  with jax.default_matmul_precision('float32'):
    return export.export(step, platforms=PLATFORMS)(
        names,
        jax.ShapeDtypeStruct(shape(f'{b}, {patch}*{h}, {patch}*{w}, 3'), dtype),
        jax.ShapeDtypeStruct(
            shape(f'{b}, 1 + {h}*{w}, {model.width}'), jnp.float32
        ),
    )


def _step(model, named, frame, state):
  """frame [B, H, W, 3] and state [B, 1 + N, D] to the next state."""
  params = trees.unflatten({k.replace('.', '/'): x for k, x in named.items()})
  if frame.dtype == jnp.uint8:
    frame = frame.astype(jnp.float32) / 255
  _, state = model.apply(
      {'params': params}, frame[:, None], state, method='encode'
  )
  return state


def _run(folder, frames, state):
  """Features [B, T, 1 + N, D], with nothing but what lies in the folder."""
  with open(os.path.join(folder, PROGRAM), 'rb') as f:
    step = jax.jit(export.deserialize(bytearray(f.read())).call)
  params = safetensors.load_file(os.path.join(folder, PARAMS))
  # Placed like the states that follow: else the second call compiles again.
  params, state = jax.device_put((params, state), jax.devices()[0])
  features = []
  for frame in frames.swapaxes(0, 1):  # [T, B, H, W, 3]
    state = step(params, frame, state)
    features.append(state)
  return np.stack(features, axis=1)
