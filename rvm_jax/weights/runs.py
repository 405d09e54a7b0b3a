"""Parameters out of the Orbax checkpoints that a run leaves."""

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

CHECKPOINTS = 'checkpoints'  # Where a run's workdir has them, one a step.


def load_run(
    path: str | os.PathLike[str],
) -> tuple[dict[str, Any], rvm.RVM, dict[str, Any]]:
  """What a run has learned, for use on any machine.

  Args:
    path: the workdir of the run, of which the newest whole checkpoint is read,
      or one checkpoint: `workdir`/checkpoints/STEP.

  Returns:
    The run's config (nested dicts), its model, and its parameters as
    np.ndarrays.

  Raises:
    FileNotFoundError: no checkpoint of a run there.
    ValueError: a checkpoint of something else; or missing, unused or misshapen
      keys among its parameters, all of them listed.
  """
  path = _find_checkpoint(os.path.abspath(path))
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
    config = reader.restore(os.path.join(path, 'config'))
  try:  # On any machine: no 'cudnn'.
    model = rvm.RVM(**config['model'] | {'attention': 'xla'})
  except (KeyError, TypeError) as error:
    raise ValueError(
        f'{path} was not written by this project: its config has no model that'
        f' fits ({error})'
    ) from error
  shapes = {'params': released.shapes(model)}
  state = pathlib.Path(path, 'state')
  with _naming_damage(path):
    saved = ocp.PyTreeCheckpointHandler().metadata(state).get('params', {})
  trees.check_match(path, trees.flatten(saved), trees.flatten(shapes['params']))
  with _naming_damage(path), ocp.PyTreeCheckpointer() as reader:
    restored = reader.restore(
        state,
        args=ocp.args.PyTreeRestore(
            item=shapes,
            restore_args=jax.tree.map(
                lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes
            ),
            partial_restore=True,  # Of the state, the parameters alone.
        ),
    )
  return config, model, restored['params']


@contextlib.contextmanager
def _naming_damage(path):
  """Puts a sentence in the place of TensorStore's page."""
  try:
    yield
  except ValueError as error:
    reason = str(error).split(' [tensorstore_spec')[0]
    raise ValueError(f'{path} is damaged: {reason}') from error


def _find_checkpoint(path):
  is_checkpoint = lambda at: all(
      os.path.isdir(os.path.join(at, part)) for part in ('state', 'config')
  )
  if is_checkpoint(path):
    return path
  directory = os.path.join(path, CHECKPOINTS)
  steps = ocp.utils.checkpoint_steps(directory)
  if not steps:
    raise FileNotFoundError(
        f'{path} has no checkpoint of a run: expected a workdir, or one of the'
        f' folders in its {CHECKPOINTS}'
    )
  newest = os.path.join(directory, str(max(steps)))
  if not is_checkpoint(newest):
    raise FileNotFoundError(
        f'{newest} is not a checkpoint of this project: expected the folders'
        f' state and config in it, got {sorted(os.listdir(newest))}'
    )
  return newest
