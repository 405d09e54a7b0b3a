"""Makes a frozen encoder of the model that a run has trained.

An RVM encodes a video as a stream (`encoders.rvm`). For every other objective
the features are those of the objective's function `encode`, from which the
run's own evaluators are computed too.
"""

import os

import jax

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import rvm
from rvm_jax.storage import checkpoint_files
from rvm_jax.training import objectives
from rvm_jax.weights import runs
from rvm_jax.weights import trees


def load(path: str) -> encoder_lib.FrozenEncoder:
  """Loads a checkpoint as an encoder.

  Args:
    path: path of the workdir of a run of any objective, or of one of its
      checkpoints; or whatever else `weights.load` reads, which is an RVM.

  Raises:
    FileNotFoundError: there is nothing at the path, or only a run that has no
      checkpoint yet.
    ValueError: there is no checkpoint of a known objective at the path, or it
      is damaged.
  """
  if _holds_rvm(path):
    return rvm.load(path)
  objective, params = objectives.load(path)
  return _make('', path, objective, params)


def load_untrained(path: str) -> encoder_lib.FrozenEncoder:
  """Makes an untrained encoder of the same architecture as a checkpoint.

  Its parameters are initialized with seed 0; those of the checkpoint are not
  used. The errors are those of `load`.

  Args:
    path: path of the checkpoint, as for `load`.
  """
  if _holds_rvm(path):
    return rvm.load_untrained(path)
  objective, _ = objectives.load(path)
  params = jax.jit(objective.init)(jax.random.key(0))
  return _make('untrained ', path, objective, params)


def _holds_rvm(path):
  """Returns whether a path leads to an RVM, and not to another model."""
  # Files and the named checkpoints of the package only ever hold an RVM.
  if not (checkpoint_files.is_url(path) or os.path.isdir(path)):
    return True
  return _read_config(path)['objective'] in runs.RVM_OBJECTIVES


def _read_config(path):
  """Returns the config of the run at a path, as nested dicts."""
  return runs.read_config(runs.find_checkpoint(path))


def _make(prefix, path, objective, params):
  """Makes an encoder and names it after the run's objective and width."""
  config = _read_config(path)

  def apply(params, frames, state):
    patches = objective.encode(params, frames)
    return encoder_lib.FrameFeatures(patches, None), state

  return encoder_lib.from_apply(
      f'{prefix}{config["objective"]} {config["model"]["width"]} wide',
      trees.fingerprint(params),
      objective.patch,
      apply,
      params,
      scaling='RGB in [0, 1]',
      clip_length=objective.clip_length,
  )
