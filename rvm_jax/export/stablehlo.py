"""Exports one step of RVM's recurrence as StableHLO: state in, state out.

The export is a folder of two files. The parameters are not part of the program,
because those of the larger models do not fit into one (2 GiB at most) and XLA
compiles large constants slowly.

  step.stablehlo      the program, serialised by `jax.export`, for CPU, CUDA and
                      TPU
  params.safetensors  the parameters of encoder and core

Using it needs JAX but not this project. `video` holds the frames of `batch`
videos in the order of time, and P is the side of a patch, 16:

  import jax
  from jax import export
  import numpy as np
  from safetensors import numpy as safetensors

  with open('step.stablehlo', 'rb') as f:
    step = jax.jit(export.deserialize(bytearray(f.read())).call)
  device = jax.devices()[0]
  params = safetensors.load_file('params.safetensors')
  shape = batch, 1 + (height // P) * (width // P), params['cls_token'].size
  params, state = jax.device_put((params, np.zeros(shape, 'float32')), device)
  for frame in video:  # [batch, height, width, 3]
    state = step(params, frame, state)

The state after a frame is also its features: first a vector for the whole
frame, then one for each patch in raster order. Later versions of JAX can read
the program for at least six months. Runtimes other than JAX pass its arguments
in this order: the parameters sorted by name, the frame, the state.
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

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.export import check
from rvm_jax.ops import images
from rvm_jax.ops import patches
from rvm_jax.storage import files
from rvm_jax.weights import trees

PLATFORMS = ('cpu', 'cuda', 'tpu')
PROGRAM, PARAMS = 'step.stablehlo', 'params.safetensors'


def write(
    out: str,
    encoder: streaming.Encoder,
    *,
    batch: int | None,
    height: int | None,
    width: int | None,
    dtype: str,
) -> float:
  """Writes the folder `out` after the program has reproduced the features.

  Args:
    out: path of the folder to write, which must not exist.
    encoder: a model without decoder, with float32 products, and its parameters.
    batch: number of videos that the program takes; None for any number.
    height: height of the frames in pixels, a multiple of the patch; None for
      any such height.
    width: width of the frames in pixels, a multiple of the patch; None for any
      such width.
    dtype: dtype of the frames that the program takes: 'float32', with values in
      [0, 1], or 'uint8'.

  Returns:
    The largest absolute difference between a feature of the program and of
    `encoder`.

  Raises:
    ValueError: height or width is not a multiple of the patch.
    OSError: something exists at `out`, or it cannot be written.
    RuntimeError: the features of the program differ.
  """
  with files.write_whole(out) as folder:
    program = _export_step(encoder, batch, height, width, dtype)
    os.mkdir(folder)
    weights.save_safetensors(os.path.join(folder, PARAMS), encoder.params)
    with open(os.path.join(folder, PROGRAM), 'wb') as f:
      f.write(program.serialize())
    errors = []
    for video in check.make_videos(encoder.model.patch, batch, height, width):
      expected = check.encode(encoder, video)
      frames = video if dtype == 'uint8' else images.to_float(video)
      found = _run(folder, frames, np.zeros_like(expected[:, 0]))
      errors.append(check.compare(found, expected))
    return max(errors)


def _export_step(
    encoder: streaming.Encoder,
    batch: int | None,
    height: int | None,
    width: int | None,
    dtype: str,
) -> export.Exported:
  """Traces and lowers `_step`; the arguments are those of `write`."""
  model, patch = encoder.model, encoder.model.patch
  # A size that is None becomes a symbol of the program: any batch b, any grid
  # of h x w patches.
  rows, columns = patches.grid(height or patch, width or patch, patch)
  b = 'b' if batch is None else batch
  h = 'h' if height is None else rows
  w = 'w' if width is None else columns
  scope = export.SymbolicScope()
  frame = export.symbolic_shape(
      f'{b}, {patch}*{h}, {patch}*{w}, 3', scope=scope
  )
  state = export.symbolic_shape(f'{b}, 1 + {h}*{w}, {model.width}', scope=scope)
  params = {
      key.replace('/', '.'): jax.ShapeDtypeStruct(x.shape, x.dtype)
      for key, x in trees.flatten(encoder.params).items()
  }
  step = jax.jit(functools.partial(_step, model))
  # GPUs and TPUs would otherwise round the factors of float32 products.
  with jax.default_matmul_precision('float32'):
    return export.export(step, platforms=PLATFORMS)(
        params,
        jax.ShapeDtypeStruct(frame, dtype),
        jax.ShapeDtypeStruct(state, jnp.float32),
    )


def _step(
    model: Any, params: Mapping[str, Any], frame: jax.Array, state: jax.Array
) -> jax.Array:
  """Folds one frame into the state.

  Args:
    model: an RVM.
    params: its parameters by their names in the exported file.
    frame: [B, H, W, 3], uint8, or float in [0, 1].
    state: float32 [B, 1 + N, D].

  Returns:
    The next state, float32 [B, 1 + N, D].
  """
  tree = trees.unflatten({k.replace('.', '/'): x for k, x in params.items()})
  frames = images.to_float(frame[:, None])
  _, state = model.apply({'params': tree}, frames, state, method='encode')
  return state


def _run(folder: str, frames: np.ndarray, state: np.ndarray) -> np.ndarray:
  """Encodes a video with nothing but the two files in `folder`.

  Args:
    folder: path of the export.
    frames: [B, T, H, W, 3] of the dtype that the program takes.
    state: float32 [B, 1 + N, D], the state before the first frame.

  Returns:
    The state after each frame, float32 [B, T, 1 + N, D].
  """
  with open(os.path.join(folder, PROGRAM), 'rb') as f:
    step = jax.jit(export.deserialize(bytearray(f.read())).call)
  params = safetensors.load_file(os.path.join(folder, PARAMS))
  # The first state is placed as the later ones will be; otherwise the second
  # call would compile again.
  params, state = jax.device_put((params, state), jax.devices()[0])
  features = []
  for frame in frames.swapaxes(0, 1):  # [T, B, H, W, 3]
    state = step(params, frame, state)
    features.append(state)
  return np.stack(features, axis=1)
