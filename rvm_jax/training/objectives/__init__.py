"""The objectives that a run can train, chosen by `config.objective`.

To add an objective, write a module in this folder with a class that implements
`protocols.VideoObjective`, and add an entry to `OBJECTIVES`.
"""

from collections.abc import Callable, Mapping
import os
from typing import Any

from absl import logging
import jax
import ml_collections

from rvm_jax.data import pipeline
from rvm_jax.training import protocols
from rvm_jax.training.objectives import joint
from rvm_jax.training.objectives import pretraining
from rvm_jax.training.objectives import siammae
from rvm_jax.training.objectives import videomae
from rvm_jax.training.objectives import vjepa
from rvm_jax.weights import runs

# A function for each value of `config.objective`. It takes the run's config and
# returns the objective.
OBJECTIVES: dict[
    str, Callable[[ml_collections.ConfigDict], protocols.VideoObjective]
] = {
    'rvm': pretraining.from_config,
    'joint': joint.from_config,
    'siammae': siammae.from_config,
    'videomae': videomae.from_config,
    'vjepa': vjepa.from_config,
}


def from_config(config: ml_collections.ConfigDict) -> protocols.VideoObjective:
  """Returns the objective that a run's config names.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: no objective has this name, or the objective does not allow some
      of the settings. The message names the key, its value and a value to use.
  """
  if config.objective not in OBJECTIVES:
    raise ValueError(
        f'config.objective={config.objective!r} must be one of'
        f' {", ".join(OBJECTIVES)}'
    )
  return OBJECTIVES[config.objective](config)


def load(
    path: str | os.PathLike[str],
) -> tuple[protocols.VideoObjective, Mapping[str, Any]]:
  """Loads the objective and the trained parameters of a run.

  This works for every objective in `OBJECTIVES`.

  Args:
    path: path of the workdir of the run, whose newest complete checkpoint is
      read, or of one checkpoint, `workdir`/checkpoints/STEP.

  Returns:
    The objective as configured by the run, and its parameters, or their EMA if
    the run has kept one: a tree of np.ndarrays.

  Raises:
    FileNotFoundError: there is no checkpoint of a run at `path`.
    ValueError: the run's objective is not in `OBJECTIVES`; or parameters are
      missing, unused or misshapen (all are listed).
  """
  checkpoint = runs.find_checkpoint(path)
  config = ml_collections.ConfigDict(runs.read_config(checkpoint))
  # The implementation of attention that the run used may not exist on this
  # machine.
  if 'attention' in config.model:
    config.model.attention = 'auto'
  objective = from_config(config)
  shapes = jax.eval_shape(objective.init, jax.random.key(0))
  return objective, runs.read_params(checkpoint, shapes)


def open_data(config: ml_collections.ConfigDict) -> pipeline.Pipeline:
  """Opens the stream of batches of a run, for the rows of this process.

  Args:
    config: the run's config, as in configs/rvm_base.py.
  """
  data = pipeline.Pipeline(
      **config.data,
      seed=config.seed,
      shard_index=jax.process_index(),
      shard_count=jax.process_count(),
  )
  logging.info(
      'This process and its data workers hold at most %d clips that are read'
      ' ahead',
      data.max_clips_ahead,
  )
  return data
