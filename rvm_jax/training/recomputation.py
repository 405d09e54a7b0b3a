"""A step of a run that is computed again: see `training.replay`."""

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any, NamedTuple

from absl import logging
import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp

from rvm_jax import weights
from rvm_jax.storage import json_lines
from rvm_jax.training import ledger
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import program as program_lib
from rvm_jax.training import step as step_lib
from rvm_jax.training import window
from rvm_jax.weights import runs


class Step(NamedTuple):
  """A step that was computed again.

  Attributes:
    metrics: metrics of the step by name.
    batch: the arrays of its batch by name, with the rows of all processes.
    clips: names of the clips, one for each row.
  """

  metrics: dict[str, float]
  batch: dict[str, np.ndarray]
  clips: list[str]


def compute(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    step: int,
    objective: step_lib.Objective,
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
  num_processes = find_num_processes(workdir, step)
  mesh = mesh_lib.make_mesh(config.fsdp)
  program = program_lib.build(config, objective, mesh)
  iterator = pipeline.iterator()
  try:
    with jax.set_mesh(mesh):
      state, data = _start(config, workdir, step, program)
      if data is not None:
        _move(iterator, data['iterator'])
      for _ in range(step - int(state.step)):
        batch = reorder(next(iterator), num_processes)
        state, metrics = program.dispatch(state, batch)
      values = {key: float(value) for key, value in metrics.items()}
  finally:
    iterator.close()
  clips = [pipeline.describe(clip) for clip in batch['clip']]
  return Step(values, batch, clips)


def find_steps(directory: pathlib.Path) -> list[int]:
  """Returns the steps of the checkpoints in a folder, in ascending order."""
  return sorted(ocp.utils.checkpoint_steps(directory))


def find_num_processes(workdir: str | os.PathLike[str], step: int) -> int:
  """Returns the number of processes that did a step, according to the ledger.

  Args:
    workdir: folder of the run. If it has no ledger, the number is 1.
    step: number of the step, counted from 1.
  """
  path = os.path.join(workdir, ledger.FILE)
  if not os.path.exists(path):
    return 1
  starts = [
      record
      for record in json_lines.read(path)
      if record['event'] == 'start' and record['step'] < step
  ]
  return starts[-1]['processes'] if starts else 1


def reorder(
    batch: Mapping[str, np.ndarray], num_processes: int
) -> dict[str, np.ndarray]:
  """Returns a batch with its rows in the order of a run of several processes.

  Process i of P takes the rows i, i + P, i + 2 P of what one process takes. The
  rows of process 0 come first on the devices, then those of process 1.

  Args:
    batch: the batch as one process takes it.
    num_processes: number of processes P.
  """
  return {
      key: np.concatenate([x[i::num_processes] for i in range(num_processes)])
      for key, x in batch.items()
  }


def _start(config, workdir, step, program):
  """Returns the newest good state before a step, and the position in the data.

  The position is None for an initial state.
  """
  directory = pathlib.Path(workdir) / runs.CHECKPOINTS
  for number in reversed(find_steps(directory)):
    if number < step:
      return _read(directory / str(number), program.shapes)
  logging.warning(
      '%s has no checkpoint before step %d: all steps are done from the first'
      ' one on',
      workdir,
      step,
  )
  if config.checkpoint.init_from is None:
    return program.init(config.seed), None
  initial = weights.read_initial(
      config.checkpoint.init_from,
      program.shapes.params,
      fresh_decoder=config.checkpoint.fresh_decoder,
  )
  fresh = program.init(config.seed)
  params = weights.put_initial(initial, fresh.params)
  return fresh.replace(params=params), None


def _read(path: pathlib.Path, shapes: step_lib.TrainState):
  """Reads the state and the position in the data of a checkpoint."""
  arrays = ocp.PyTreeCheckpointHandler().metadata(path / 'state')
  state = ocp.StandardCheckpointHandler().restore(
      path / 'state',
      args=ocp.args.StandardRestore(window.as_saved(shapes, arrays)),
  )
  data = json.loads((path / 'data' / 'metadata').read_text())
  logging.info('Replaying from %s', path)
  return window.as_wanted(state, shapes), data


def _move(iterator: Any, saved: Mapping[str, Any]):
  """Moves an iterator to a position, if its data are those of the run."""
  key = 'num_records'
  now = iterator.get_state()
  if key in now and now[key] != saved[key]:
    raise ValueError(
        f'the data have changed since the run: its sources had {saved[key]}'
        f' records, and have {now[key]}. The batch cannot be found again'
    )
  iterator.set_state(saved)
