"""Parameters on the host, whoever wrote them."""

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
  """Reads what `weights.load` loads, and leaves it on the host.

  Args:
    path: a `.npz`, a `.safetensors`, a workdir or one of its checkpoints.

  Returns:
    The module, and its parameters by their released keys.

  Raises:
    FileNotFoundError: nothing there, or no checkpoint of a run.
    ValueError: see `weights.load`.
  """
  path = os.fspath(path)
  if os.path.isdir(path):
    _, model, params = runs.load_run(path)
    return model, trees.flatten(params)
  if path.endswith('.safetensors'):
    arrays = safetensors.read_safetensors(path)
  else:
    arrays = released.read_npz(path)
  model = released.model_of(path, arrays)
  if not model.decoder_layers:
    logging.info('%s holds encoder and core only: no decoder', path)
  return model, arrays
