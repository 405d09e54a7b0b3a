"""Reads parameters from files and runs; writes .npz and .safetensors files."""

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
    path: str | os.PathLike[str],
    dtype: str = 'float32',
    *,
    verify: bool = True,
    ema: bool = True,
) -> tuple[rvm.RVM, dict[str, Any]]:
  """Loads a model and its parameters.

  The model's sizes follow from the parameters' shapes or from the run's config.

  Args:
    path: path of a `.npz` in the released layout, of a `.safetensors` file that
      `save_safetensors` wrote, of the workdir of a run (its newest checkpoint
      is read), or of one checkpoint, `workdir`/checkpoints/STEP. A workdir may
      be on a bucket, such as 'gs://bucket/run'. `path` may also be the name of
      a checkpoint in the package, such as 'rvm_tiny', see `shipped.locate`. A
      file without decoder gives a model with `decoder_layers=0`, which encodes
      but cannot reconstruct.
    dtype: dtype of the model's matrix products, 'float32' or 'bfloat16'. The
      parameters are float32 in either case.
    verify: whether the parameters are compared with the digests (of a run) or
      the fingerprint (of a `.safetensors` file) that were saved with them. This
      takes about a second for each GB. A `.npz` has checksums of its own, which
      are always compared.
    ema: whether the exponential moving average (EMA) of the parameters is read
      if the run keeps one (`config.ema_decay`). If so, this is logged. With
      False the parameters of the last step are read.

  Returns:
    The Flax module and its parameters, a tree of jax.Arrays, for
    `model.apply({'params': params}, ...)`.

  Raises:
    FileNotFoundError: nothing exists at `path`, and it is not the name of a
      checkpoint in the package; or the folder has no checkpoint of a run.
    ValueError: the file is not an archive of plain arrays; the checkpoint is of
      another model; keys are missing, unused or misshapen (all are listed); the
      parameters have changed since they were saved; or some are not finite. If
      the newest checkpoint of a run is damaged, no other is read in its place:
      the message names the newest good one.
  """
  model, arrays = reading.read(path, verify=verify, ema=ema)
  # Each array is dropped from the host once it is on the device, so that the
  # parameters are not held twice.
  return model.clone(dtype=dtype), trees.unflatten(
      {key: jnp.asarray(arrays.pop(key)) for key in list(arrays)}
  )
