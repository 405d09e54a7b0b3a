"""Weights in and out: released files, safetensors, and runs of our own."""

import os
from typing import Any

import jax.numpy as jnp

from rvm_jax.models import rvm
from rvm_jax.weights import reading
from rvm_jax.weights import trees
from rvm_jax.weights.initial import put_initial as put_initial
from rvm_jax.weights.initial import read_initial as read_initial
from rvm_jax.weights.released import save_npz as save_npz
from rvm_jax.weights.runs import load_run as load_run
from rvm_jax.weights.safetensors import save_safetensors as save_safetensors


def load(
    path: str | os.PathLike[str], dtype: str = 'float32'
) -> tuple[rvm.RVM, dict[str, Any]]:
  """Loads a model and its parameters, whoever wrote them.

  Args:
    path: a `.npz` in the released layout or a `.safetensors` of ours, of which
      every size is read; the workdir of a run; or one of the run's checkpoints,
      `workdir`/checkpoints/STEP. A file that holds encoder and core alone gives
      a model with `decoder_layers=0`: it encodes and cannot reconstruct.
    dtype: of the model's products, 'float32' or 'bfloat16'; the parameters are
      float32 in either case.

  Returns:
    The module and its parameters, for `model.apply({'params': params}, ...)`.

  Raises:
    FileNotFoundError: nothing there, or no checkpoint of a run.
    ValueError: not an archive of plain arrays; a checkpoint of something else;
      or missing, unused or misshapen keys, all of them listed.
  """
  model, arrays = reading.read(path)
  # One array after the other leaves the host: never all of them twice.
  return model.clone(dtype=dtype), trees.unflatten(
      {key: jnp.asarray(arrays.pop(key)) for key in list(arrays)}
  )
