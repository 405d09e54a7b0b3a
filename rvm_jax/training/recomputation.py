"""Computes a step of a run again, for the command `training.replay`."""

from collections.abc import Mapping
import functools
import os
from typing import Any, NamedTuple

from absl import logging
import jax
import ml_collections
import numpy as np

from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import damage
from rvm_jax.training import boxes
from rvm_jax.training import position as position_lib
from rvm_jax.training import program as program_lib
from rvm_jax.training import protocols
from rvm_jax.training import resuming
from rvm_jax.weights import runs


class Step(NamedTuple):
  """A step that was computed again.

  Attributes:
    metrics: metrics of the step by name.
    batch: the arrays of its batch by name, with the rows of all processes.
      Frames have the size that the objective takes.
    clips: names of the clips, one for each row.
  """

  metrics: dict[str, float]
  batch: dict[str, np.ndarray]
  clips: list[str]


def compute(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    step: int,
    objective: protocols.Objective,
    pipeline: position_lib.TrainingData,
) -> Step:
  """Computes a step of a run again.

  Args:
    config: config of the run.
    workdir: folder of the run, which is only read.
    step: number of the step, counted from 1.
    objective: objective of the run.
    pipeline: stream of the run's batches, with all rows of a batch.

  Raises:
    FileNotFoundError: nothing can be read at `config.checkpoint.init_from`.
    ValueError: the run has no such step, its data have changed, or the config
      does not fit its checkpoint.
  """
  if not 1 <= step <= config.num_steps:
    raise ValueError(
        f'--step={step} must be one of the steps 1 to {config.num_steps} of'
        f' the run in {workdir}'
    )
  program = program_lib.build(config, objective)
  iterator = pipeline.iterator()
  try:
    with jax.set_mesh(program.mesh):
      state, data = _start(config, workdir, step, program)
      if data is not None:
        _move(iterator, data['iterator'])
      # The last of these steps is the one to return.
      for _ in range(step - int(state.step)):
        batch = next(iterator)
        state, metrics = program.dispatch(state, batch)
      values = {key: float(value) for key, value in metrics.items()}
      # Pictures are to show the frames that the objective sees, so boxes are
      # resized here as the step resizes them.
      taken = boxes.select(batch, objective.batch)
      resized = boxes.resize(taken, objective.batch)
      batch |= jax.tree.map(np.asarray, resized)
  finally:
    iterator.close()
  clips = [pipeline.describe(clip) for clip in batch['clip']]
  return Step(values, batch, clips)


def _start(config, workdir, step, program):
  """Returns the newest good state before a step, and the position in the data.

  The position is None for an initial state.
  """
  directory = checkpoint_files.locate(workdir) / runs.CHECKPOINTS
  for number in reversed(checkpoint_files.find_steps(directory)):
    if number >= step:
      continue
    try:
      return resuming.read(
          directory / str(number),
          program.shapes,
          config.to_dict(),
          verify=True,
      )
    except damage.DamagedError as error:
      logging.warning('%s. An earlier checkpoint is taken', error)
  logging.warning(
      '%s has no good checkpoint before step %d: all steps are done from the'
      ' first one on',
      workdir,
      step,
  )
  state = resuming.make_initial(
      program.shapes,
      functools.partial(program.init, config.seed),
      config.to_dict(),
      init_from=config.checkpoint.init_from,
      fresh_decoder=config.checkpoint.fresh_decoder,
  )
  return state, None


def _move(iterator: Any, saved: Mapping[str, Any]):
  """Moves an iterator to a position in the data of the run.

  Args:
    iterator: iterator over batches.
    saved: the position, as the iterator of the run returned it.

  Raises:
    ValueError: the sources had other numbers of records during the run.
  """
  key = 'num_records'
  now = iterator.get_state()
  if key in now and now[key] != saved[key]:
    raise ValueError(
        f'the data have changed since the run: its sources had {saved[key]}'
        f' records, and now have {now[key]}. The batch cannot be found again'
        ' unless the files of the run are put back'
    )
  iterator.set_state(saved)
