"""Computes one step of a run again, exactly as the run did.

  python -m rvm_jax.training.replay --workdir=runs/base --step=12345 \
      --out=replayed

The command prints the loss, the norms and the clips of the step, compares them
with what the run has logged, and with --out writes the frames of each clip. It
starts from the newest good checkpoint before the step, or from the initial
state if there is none, and does all steps in between again. It writes nothing to
the workdir, so that the run may go on meanwhile.

The config is that of the checkpoint that the run saved after the step, or else
of its newest one. To use another one, give it as to the run: --config=FILE
--config.KEY=VALUE. The numbers are the same to the last bit on the same number
of devices of the same kind, with the same versions of the libraries. On others
they agree as far as rounding allows. The step of a run of several processes is
replayed by one process, which puts the clips into the order of theirs.

Exit code: 0 if the step was computed, 1 if there is an error.
"""

from collections.abc import Mapping
import json
import os
import sys
from typing import Any, NamedTuple

from absl import app
from absl import flags
from absl import logging
from etils import epath
import jax
import ml_collections
from ml_collections import config_flags
import numpy as np
import orbax.checkpoint as ocp
from PIL import Image

from rvm_jax import weights
from rvm_jax.storage import files
from rvm_jax.storage import json_lines
from rvm_jax.training import ledger
from rvm_jax.training import logs
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import position as position_lib
from rvm_jax.training import reporting
from rvm_jax.training import spikes
from rvm_jax.training import step as step_lib
from rvm_jax.training import window
from rvm_jax.weights import runs


class Replayed(NamedTuple):
  """A step that was computed again.

  Attributes:
    metrics: metrics of the step by name.
    batch: the arrays of its batch by name, with the rows of all processes.
    clips: names of the clips, one for each row.
  """

  metrics: dict[str, float]
  batch: dict[str, np.ndarray]
  clips: list[str]


def main(argv: list[str]) -> int:
  """Replays the step that the flags name; returns the exit code."""
  if len(argv) > 1:
    raise app.UsageError(f'unexpected arguments: {argv[1:]}')
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  given = flags.FLAGS
  try:
    config = given.config or find_config(given.workdir, given.step)
    objective = objectives.from_config(config)
    pipeline = objectives.open_data(config)
    replayed = replay(config, given.workdir, given.step, objective, pipeline)
    print_(replayed, given.workdir, given.step)
    if given.out is not None:
      write_pictures(replayed, given.out)
      print(f'Wrote {given.out}')
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 1
  return 0


def find_config(
    workdir: str | os.PathLike[str], step: int
) -> ml_collections.ConfigDict:
  """Returns the config of the run when it did a step.

  Args:
    workdir: folder of the run.
    step: number of the step, counted from 1.

  Raises:
    FileNotFoundError: the run has no checkpoint.
  """
  directory = epath.Path(workdir) / runs.CHECKPOINTS
  steps = find_steps(directory)
  if not steps:
    raise FileNotFoundError(
        f'{workdir} has no checkpoint of a run that says its config: give'
        ' --config as to the run'
    )
  after = [number for number in steps if number >= step]
  path = directory / str(after[0] if after else steps[-1])
  return ml_collections.ConfigDict(runs.read_config(str(path)))


def replay(
    config: ml_collections.ConfigDict,
    workdir: str | os.PathLike[str],
    step: int,
    objective: step_lib.Objective,
    pipeline: position_lib.TrainingData,
) -> Replayed:
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
  optimizer, _ = optimizer_lib.make_optimizer(
      num_steps=config.num_steps,
      is_core=objective.is_core,
      **config.optimizer,
  )
  init, train_step = step_lib.make(
      objective,
      optimizer,
      mesh,
      num_microbatches=config.num_microbatches,
      guard=spikes.from_config(config),
  )
  shapes = jax.eval_shape(init, config.seed)
  iterator = pipeline.iterator()
  try:
    with jax.set_mesh(mesh):
      state, data = _start(config, workdir, step, shapes, init)
      if data is not None:
        _move(iterator, data['iterator'])
      for _ in range(step - int(state.step)):
        batch = reorder(next(iterator), num_processes)
        taken = {key: batch[key] for key in objective.batch}
        state, metrics = train_step(state, mesh_lib.to_devices(taken, mesh))
      values = {key: float(value) for key, value in metrics.items()}
  finally:
    iterator.close()
  clips = [pipeline.describe(clip) for clip in batch['clip']]
  return Replayed(values, batch, clips)


def find_steps(directory: epath.Path) -> list[int]:
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


def print_(replayed: Replayed, workdir: str | os.PathLike[str], step: int):
  """Prints the values and the clips of a step, beside what the run logged.

  Args:
    replayed: the step.
    workdir: folder of the run.
    step: number of the step, counted from 1.
  """
  logged = {
      key.removeprefix('train/'): value
      for name in (reporting.METRICS, spikes.LOG)
      for key, value in _find_record(workdir, name, step).items()
  }
  for key, value in replayed.metrics.items():
    note = ''
    if logged.get(key) is not None:
      # TensorBoard and the logs hold float32.
      is_same = np.float32(logged[key]) == np.float32(value)
      note = 'as logged' if is_same else f'logged: {logged[key]:.9g}'
    print(f'{key:20} {value:<16.9g} {note}'.rstrip())
  print('clips:', *replayed.clips, sep='\n  ')
  if 'clips' in logged:
    is_same = logged['clips'] == replayed.clips
    print(f'These are {"" if is_same else "not "}the clips in {spikes.LOG}')


def write_pictures(replayed: Replayed, out: str | os.PathLike[str]):
  """Writes a picture for each clip of a step, and a file of their names.

  Args:
    replayed: the step.
    out: folder to make. ROW.png has the clip's source frames in its first row
      and its target frames in its second one; clips.json has the names in the
      order of the rows.

  Raises:
    FileExistsError: `out` exists.
    OSError: it cannot be written.
  """
  frames = [
      x
      for x in replayed.batch.values()
      if x.ndim == 5 and x.dtype == np.uint8  # [B, T, H, W, 3]
  ]
  with files.write_whole(out) as part:
    os.mkdir(part)
    for number, row in enumerate(zip(*frames)):
      lines = [np.concatenate([*line], axis=1) for line in row]  # [H, T W, 3]
      width = max(line.shape[1] for line in lines)
      picture = np.concatenate(
          [
              np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)))
              for line in lines
          ]
      )
      path = os.path.join(part, f'{number:04d}.png')
      Image.fromarray(picture).save(path)
    with open(os.path.join(part, 'clips.json'), 'w') as f:
      json.dump(replayed.clips, f, indent=1)


def _start(config, workdir, step, shapes, init):
  """Returns the newest good state before a step, and the position in the data.

  The position is None for an initial state.
  """
  directory = epath.Path(workdir) / runs.CHECKPOINTS
  for number in reversed(find_steps(directory)):
    if number < step:
      return _read(directory / str(number), shapes)
  logging.warning(
      '%s has no checkpoint before step %d: all steps are done from the first'
      ' one on',
      workdir,
      step,
  )
  if config.checkpoint.init_from is None:
    return init(config.seed), None
  initial = weights.read_initial(
      config.checkpoint.init_from,
      shapes.params,
      fresh_decoder=config.checkpoint.fresh_decoder,
  )
  fresh = init(config.seed)
  params = weights.put_initial(initial, fresh.params)
  return fresh.replace(params=params), None


def _read(path: epath.Path, shapes: step_lib.TrainState):
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


def _find_record(workdir, name: str, step: int) -> dict[str, Any]:
  """Returns what a file of JSON lines says of a step, {} if it says nothing."""
  path = os.path.join(workdir, name)
  found: dict[str, Any] = {}
  if os.path.exists(path):
    for record in json_lines.read(path):
      if record['step'] == step:
        found |= record
  return found


if __name__ == '__main__':
  flags.DEFINE_string('workdir', None, 'Folder of the run.')
  flags.DEFINE_integer('step', None, 'Number of the step, counted from 1.')
  flags.DEFINE_string('out', None, 'New folder for pictures of the clips.')
  config_flags.DEFINE_config_file(
      'config', None, 'The config of the run, if not that of its checkpoint.'
  )
  flags.mark_flags_as_required(['workdir', 'step'])
  app.run(main)
