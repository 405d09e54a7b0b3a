"""Reads parameters of any supported format into host memory."""

import os

from absl import logging
import numpy as np

from rvm_jax.models import rvm
from rvm_jax.weights import released
from rvm_jax.weights import runs
from rvm_jax.weights import safetensors
from rvm_jax.weights import trees


def read(
    path: str | os.PathLike[str],
) -> tuple[rvm.RVM, dict[str, np.ndarray]]:
  """Reads a model and its parameters; the parameters stay on the host.

  Args:
    path: path of a `.npz`, of a `.safetensors`, of a workdir or of one of its
      checkpoints, as for `weights.load`.

  Returns:
    The Flax module, and its parameters by their keys in the released layout.

  Raises:
    FileNotFoundError: nothing exists at `path`, or no checkpoint of a run.
    ValueError: the file or checkpoint does not hold the parameters of an RVM.
  """
  path = os.fspath(path)
  if os.path.isdir(path):
    _, model, params = runs.load_run(path)
    return model, trees.flatten(params)
  if path.endswith('.safetensors'):
    arrays = safetensors.read_safetensors(path)
  else:
    arrays = released.read_npz(path)
  model = released.infer_model(path, arrays)
  if not model.decoder_layers:
    logging.info('%s holds encoder and core only: no decoder', path)
  return model, arrays
