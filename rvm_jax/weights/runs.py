"""Reads parameters and config from the Orbax checkpoints of a run."""

from collections.abc import Iterator, Mapping
import contextlib
import os
from typing import Any

from absl import logging
from etils import epath

from rvm_jax.models import rvm
from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.storage import digests
from rvm_jax.weights import released
from rvm_jax.weights import trees

# Folder of a workdir that holds a folder for each checkpoint, named by step.
CHECKPOINTS = 'checkpoints'
# The values of `config.objective` that train an `RVM`.
RVM_OBJECTIVES = ('rvm',)


def load_run(
    path: str | os.PathLike[str], *, verify: bool = True, ema: bool = True
) -> tuple[dict[str, Any], rvm.RVM, dict[str, Any]]:
  """Loads the RVM that a run has trained.

  The model uses `attention='auto'`, so that it works on any machine.

  Args:
    path: the workdir of the run, whose newest checkpoint is read, or one
      checkpoint: `workdir`/checkpoints/STEP.
    verify: whether the parameters are compared with their digests, see
      `read_params`.
    ema: whether the EMA of the parameters is read if the checkpoint has one.

  Returns:
    The run's config (nested dicts), its model, and its parameters as
    np.ndarrays.

  Raises:
    FileNotFoundError: there is no checkpoint of a run at `path`.
    ValueError: the run trained another model than an RVM; parameters are
      missing, unused or misshapen (all are listed); or the checkpoint is
      damaged, see `read_params`.
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
    # The run's own choice of attention may not work on this machine.
    model = rvm.RVM(**config['model'] | {'attention': 'auto'})
  except (KeyError, TypeError) as error:
    raise ValueError(
        f'{path} was not written by this project: its config.model does not'
        f' describe an RVM ({error})'
    ) from error
  return (
      config,
      model,
      read_params(path, released.shapes(model), verify=verify, ema=ema),
  )


def find_checkpoint(path: str | os.PathLike[str]) -> str:
  """Returns the absolute path of a run's newest checkpoint.

  Args:
    path: the workdir of the run, or one of its checkpoints, which is returned.

  Raises:
    FileNotFoundError: there is no checkpoint of a run at `path`.
  """
  found = checkpoint_files.locate(path)
  if _is_checkpoint(found):
    return os.fspath(found)
  steps = checkpoint_files.find_steps(found / CHECKPOINTS)
  if not steps:
    raise FileNotFoundError(
        f'{found} has no checkpoint of a run: expected a workdir, or one of the'
        f' folders in its {CHECKPOINTS}'
    )
  return os.fspath(found / CHECKPOINTS / str(steps[-1]))


def read_config(checkpoint: str) -> dict[str, Any]:
  """Reads the config of a run as nested dicts, with keys added by `complete`.

  Args:
    checkpoint: path of the checkpoint.

  Raises:
    ValueError: the checkpoint is damaged, see `read_params`.
  """
  path = checkpoint_files.locate(checkpoint)
  with _naming_older(path):
    return complete(checkpoint_files.read_contents(path).config)


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a run's config, with keys added that earlier versions did not have.

  The values of added keys are those that the earlier versions used.

  Args:
    config: config of the run, nested dicts.
  """
  config = {
      # Before there was a choice of objectives, every run trained an RVM.
      'objective': 'rvm',
      'gradient_dtype': 'float32',
      'ema_decay': None,
      **config,
  }
  model = config.get('model')
  if config['objective'] in RVM_OBJECTIVES and isinstance(model, Mapping):
    config['model'] = {
        'scan_layers': False,
        'content_first': False,
        **model,
    }
  return config


def read_params(
    checkpoint: str,
    shapes: Mapping[str, Any],
    *,
    verify: bool = True,
    ema: bool = True,
) -> dict[str, Any]:
  """Reads the parameters of a checkpoint, which must be those expected.

  Args:
    checkpoint: path of the checkpoint.
    shapes: the tree of parameters to expect, as `jax.ShapeDtypeStruct`s.
    verify: whether the parameters are compared with the digests that were saved
      with them, which takes about a second for each GB. Parameters that are not
      finite are refused in either case.
    ema: whether the exponential moving average (EMA) of the parameters is read
      if the checkpoint has one, which is logged. Otherwise the parameters of
      the last step are read.

  Returns:
    The tree of parameters, as np.ndarrays.

  Raises:
    ValueError: parameters are missing, unused or misshapen (all are listed); or
      the checkpoint is damaged. No other checkpoint is read in its place,
      because results would then come from weights that were not asked for. The
      message names the newest good checkpoint before it.
  """
  path = checkpoint_files.locate(checkpoint)
  with _naming_older(path):
    arrays = checkpoint_files.read_contents(path).arrays
    state = checkpoint_files.read_shapes(path, arrays)
    part = 'ema' if ema and 'ema' in state else 'params'
    saved = state.get(part, {})
    trees.check_match(checkpoint, trees.flatten(saved), trees.flatten(shapes))
    params = checkpoint_files.read_arrays(path, {part: shapes})[part]
    if part == 'ema':
      logging.info('%s: parameters are read from their EMA', path)
    if arrays is None:
      logging.warning(checkpoint_files.NO_DIGESTS, path)
    found = (
        {
            f'{part}/{key}': digests.of_array(array)
            for key, array in trees.flatten(params).items()
        }
        if verify
        else {}
    )
    checkpoint_files.compare(path, found, arrays)
  trees.check_finite(checkpoint, trees.flatten(params))
  return params


@contextlib.contextmanager
def _naming_older(path: epath.Path) -> Iterator[None]:
  """Adds to the error of a damaged checkpoint the newest good one before it.

  Args:
    path: folder of the checkpoint that is read inside the context.

  Raises:
    ValueError: the checkpoint is damaged.
  """
  try:
    yield
  except damage.DamagedError as error:
    if not path.name.isdigit():
      raise
    step = checkpoint_files.find_good(path.parent, below=int(path.name))
    raise ValueError(
        f'{error}. '
        + (
            'No checkpoint before it is good'
            if step is None
            else f'The newest good one before it is {path.parent / str(step)}'
        )
    ) from error


def _is_checkpoint(path: epath.Path) -> bool:
  """Returns whether a folder is a checkpoint, which may be damaged."""
  return (path / checkpoint_files.STATE).is_dir() and (
      path / checkpoint_files.CONFIG
  ).is_dir()
