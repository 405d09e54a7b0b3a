"""What a run trains: one file for each objective, chosen by `config.objective`.

A new objective is a file here with a `step.VideoObjective`, and a line in
`OBJECTIVES`.
"""

from collections.abc import Callable, Mapping
import os
from typing import Any

import jax
import ml_collections

from rvm_jax.data import pipeline
from rvm_jax.training import step
from rvm_jax.training.objectives import pretraining
from rvm_jax.weights import runs

# By the value of `config.objective`: a function that takes the run's config.
OBJECTIVES: dict[
    str, Callable[[ml_collections.ConfigDict], step.VideoObjective]
] = {
    'rvm': pretraining.from_config,
}


def from_config(config: ml_collections.ConfigDict) -> step.VideoObjective:
  """Returns the objective that a run's config names.

  Args:
    config: the run's config, as in configs/rvm_base.py.

  Raises:
    ValueError: there is no such objective, or settings that it does not allow;
      the error names key, value and fix.
  """
  if config.objective not in OBJECTIVES:
    raise ValueError(
        f'config.objective={config.objective!r} must be one of'
        f' {", ".join(OBJECTIVES)}'
    )
  return OBJECTIVES[config.objective](config)


def load(
    path: str | os.PathLike[str],
) -> tuple[step.VideoObjective, Mapping[str, Any]]:
  """Loads what a run has learned, whatever its objective is.

  Args:
    path: the workdir of the run, whose newest whole checkpoint is read, or one
      checkpoint: `workdir`/checkpoints/STEP.

  Returns:
    The objective as configured by the run, and its parameters as np.ndarrays.

  Raises:
    FileNotFoundError: there is no checkpoint of a run at `path`.
    ValueError: there is no such objective here; or parameters are missing,
      unused or misshapen, all of them listed.
  """
  checkpoint = runs.find_checkpoint(path)
  config = ml_collections.ConfigDict(runs.read_config(checkpoint))
  objective = from_config(config)
  shapes = jax.eval_shape(objective.init, jax.random.key(0))
  return objective, runs.read_params(checkpoint, shapes)


def open_data(config: ml_collections.ConfigDict) -> pipeline.Pipeline:
  """Opens the data of a run: this process's rows of every batch.

  Args:
    config: the run's config, as in configs/rvm_base.py.
  """
  return pipeline.Pipeline(
      **config.data,
      seed=config.seed,
      shard_index=jax.process_index(),
      shard_count=jax.process_count(),
  )
