"""Parameters and config out of the Orbax checkpoints that a run leaves."""

from collections.abc import Mapping
import contextlib
import os
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from rvm_jax.models import rvm
from rvm_jax.weights import released
from rvm_jax.weights import trees

# Folder of a workdir that holds a folder for each checkpoint, named by step.
CHECKPOINTS = 'checkpoints'
# The values of `config.objective` that train an `RVM`.
RVM_OBJECTIVES = ('rvm',)


def load_run(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], rvm.RVM, dict[str, Any]]:
  """Loads the RVM that a run has trained, for use on any machine.

  Args:
    path: the workdir of the run, whose newest whole checkpoint is read, or one
      checkpoint: `workdir`/checkpoints/STEP.

  Returns:
    The run's config (nested dicts), its model, and its parameters as
    np.ndarrays.

  Raises:
    FileNotFoundError: there is no checkpoint of a run at `path`.
    ValueError: the run trained something else than an RVM; or missing, unused
      or misshapen keys among its parameters, all of them listed.
  """
  path = find_checkpoint(path)
  config = read_config(path)
  if config['objective'] not in RVM_OBJECTIVES:
    raise ValueError(
        f'{path} holds no RVM: it was trained with config.objective='
        f'{config["objective"]!r}, and only {", ".join(RVM_OBJECTIVES)} can be'
        ' read here; use rvm_jax.training.objectives.load'
    )
  try:
    # 'cudnn' would not run on every machine.
    model = rvm.RVM(**config['model'] | {'attention': 'xla'})
  except (KeyError, TypeError) as error:
    raise ValueError(
        f'{path} was not written by this project: its config has no model that'
        f' fits ({error})'
    ) from error
  return config, model, read_params(path, released.shapes(model))


def find_checkpoint(path: str | os.PathLike[str]) -> str:
  """Returns the absolute path of a run's newest checkpoint.

  Args:
    path: the workdir of the run, or one of its checkpoints, which is returned.

  Raises:
    FileNotFoundError: there is no checkpoint of a run at `path`.
  """
  path = os.path.abspath(path)
  if _is_checkpoint(path):
    return path
  directory = os.path.join(path, CHECKPOINTS)
  steps = ocp.utils.checkpoint_steps(directory)
  if not steps:
    raise FileNotFoundError(
        f'{path} has no checkpoint of a run: expected a workdir, or one of the'
        f' folders in its {CHECKPOINTS}'
    )
  newest = os.path.join(directory, str(max(steps)))
  if not _is_checkpoint(newest):
    raise FileNotFoundError(
        f'{newest} is not a checkpoint of this project: expected the folders'
        f' state and config in it, got {sorted(os.listdir(newest))}'
    )
  return newest


def read_config(checkpoint: str) -> dict[str, Any]:
  """Reads the config of a run, as nested dicts with every key of today."""
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
    return complete(reader.restore(os.path.join(checkpoint, 'config')))


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
  """Adds the keys that configs of earlier versions lack to a run's config."""
  # Before there was a choice of objectives, every run trained an RVM.
  completed = {'objective': 'rvm', **config}
  # Before videos could be kept out of training, none were.
  if 'data' in completed:
    completed['data'] = {'held_out_share': 0.0, **completed['data']}
  return completed


def read_params(checkpoint: str, shapes: Mapping[str, Any]) -> dict[str, Any]:
  """Reads the parameters of a checkpoint, strictly.

  Args:
    checkpoint: path of the checkpoint.
    shapes: the tree of parameters to expect, as `jax.ShapeDtypeStruct`s.

  Returns:
    The tree of parameters, as np.ndarrays.

  Raises:
    ValueError: missing, unused or misshapen keys, all of them listed; or the
      checkpoint is damaged.
  """
  item = {'params': shapes}
  state = pathlib.Path(checkpoint, 'state')
  with _naming_damage(checkpoint):
    saved = ocp.PyTreeCheckpointHandler().metadata(state).get('params', {})
  trees.check_match(checkpoint, trees.flatten(saved), trees.flatten(shapes))
  with _naming_damage(checkpoint), ocp.PyTreeCheckpointer() as reader:
    restored = reader.restore(
        state,
        args=ocp.args.PyTreeRestore(
            item=item,
            restore_args=jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item
            ),
            partial_restore=True,  # Only the parameters of the state.
        ),
    )
  return restored['params']


@contextlib.contextmanager
def _naming_damage(path):
  """Replaces TensorStore's page-long errors by one sentence."""
  try:
    yield
  except ValueError as error:
    reason = str(error).split(' [tensorstore_spec')[0]
    raise ValueError(f'{path} is damaged: {reason}') from error


def _is_checkpoint(path):
  return all(
      os.path.isdir(os.path.join(path, part)) for part in ('state', 'config')
  )
