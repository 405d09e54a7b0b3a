"""Reads parameters of any supported format into host memory."""

import os

from absl import logging
import numpy as np

from rvm_jax.models import rvm
from rvm_jax.storage import checkpoint_files
from rvm_jax.weights import released
from rvm_jax.weights import runs
from rvm_jax.weights import safetensors
from rvm_jax.weights import shipped
from rvm_jax.weights import trees


def read(
    path: str | os.PathLike[str], *, verify: bool = True, ema: bool = True
) -> tuple[rvm.RVM, dict[str, np.ndarray]]:
  """Reads a model and its parameters; the parameters stay on the host.

  Args:
    path: path of a `.npz`, of a `.safetensors`, of a workdir or of one of its
      checkpoints, or the name of a checkpoint in the package, as for
      `weights.load`.
    verify: whether parameters are compared with the digests or the fingerprint
      that were saved with them.
    ema: whether the EMA of a run's parameters is read if there is one, see
      `runs.read_params`.

  Returns:
    The Flax module, and its parameters by their keys in the released layout.

  Raises:
    FileNotFoundError: nothing exists at `path`, or the folder has no checkpoint
      of a run.
    ValueError: the file or checkpoint does not hold the parameters of an RVM;
      it is damaged; or a parameter is not finite.
  """
  path = shipped.locate(path)
  if checkpoint_files.is_url(path) or os.path.isdir(path):
    _, model, params = runs.load_run(path, verify=verify, ema=ema)
    return model, trees.flatten(params)
  if path.endswith('.safetensors'):
    arrays, options = safetensors.read_safetensors(path, verify=verify)
  else:
    arrays, options = released.read_npz(path), {}
  model = released.infer_model(path, arrays).clone(**options)
  trees.check_finite(path, arrays)
  if not model.decoder_layers:
    logging.info('%s holds encoder and core only: no decoder', path)
  return model, arrays
