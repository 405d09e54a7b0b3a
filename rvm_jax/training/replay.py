"""Computes one step of a run again, exactly as the run did.

  python -m rvm_jax.training.replay --workdir=runs/base --step=12345 \
      --out=replayed

The command prints the loss, the norms and the clips of the step, compares them
with what the run has logged, and with --out writes the frames of each clip. It
starts from the newest good checkpoint before the step, or from the initial
state if there is none, and does all steps in between again. It writes nothing
to the workdir, so that the run may go on meanwhile.

The config is read from the first checkpoint that the run saved at the step or
after it, or else from the newest one. To use another config, pass it as for the
run: --config=FILE --config.KEY=VALUE.

The numbers are the same to the last bit on the same number of devices of the
same kind, with the same versions of the libraries. On others they agree as far
as rounding allows. One process replays the step of any number of processes.

Exit code: 0 if the step was computed, 76 after an error that may not occur
again if the command is repeated, 1 after any other error.
"""

import json
import os
from typing import Any

from absl import app
from absl import flags
from absl import logging
import ml_collections
from ml_collections import config_flags
import numpy as np
from PIL import Image

from rvm_jax.runtime import compilation
from rvm_jax.runtime import errors
from rvm_jax.storage import checkpoint_files
from rvm_jax.storage import files
from rvm_jax.storage import json_lines
from rvm_jax.training import logs
from rvm_jax.training import objectives
from rvm_jax.training import recomputation
from rvm_jax.training import reporting
from rvm_jax.training import spikes
from rvm_jax.weights import runs


def main(argv: list[str]):
  """Replays the step that the flags name."""
  logging.get_absl_handler().addFilter(logs.is_ours_or_urgent)
  with errors.Reports():
    if len(argv) > 1:
      raise ValueError(f'unexpected arguments: {argv[1:]}')
    compilation.use_cache()
    given = flags.FLAGS
    if given.out is not None and os.path.lexists(given.out):
      raise FileExistsError(
          f'--out={given.out} is there already; name a new folder'
      )
    config = given.config or find_config(given.workdir, given.step)
    objective = objectives.from_config(config)
    pipeline = objectives.open_data(config)
    replayed = recomputation.compute(
        config, given.workdir, given.step, objective, pipeline
    )
    print_(replayed, given.workdir, given.step)
    if given.out is not None:
      write_pictures(replayed, given.out)
      print(f'Wrote {given.out}')


def find_config(
    workdir: str | os.PathLike[str], step: int
) -> ml_collections.ConfigDict:
  """Returns the config with which the run did a step.

  Args:
    workdir: folder of the run.
    step: number of the step, counted from 1.

  Raises:
    FileNotFoundError: the run has no checkpoint.
  """
  directory = checkpoint_files.locate(workdir) / runs.CHECKPOINTS
  steps = checkpoint_files.find_steps(directory)
  if not steps:
    raise FileNotFoundError(
        f'{workdir} has no checkpoint to read the config from: pass --config as'
        ' for the run'
    )
  after = [number for number in steps if number >= step]
  path = directory / str(after[0] if after else steps[-1])
  return ml_collections.ConfigDict(runs.read_config(str(path)))


def print_(
    replayed: recomputation.Step, workdir: str | os.PathLike[str], step: int
):
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
      # Metrics are float32, so they are compared in that precision.
      is_same = np.float32(logged[key]) == np.float32(value)
      note = 'as logged' if is_same else f'logged: {logged[key]:.9g}'
    print(f'{key:20} {value:<16.9g} {note}'.rstrip())
  print('clips:', *replayed.clips, sep='\n  ')
  if 'clips' in logged:
    is_same = logged['clips'] == replayed.clips
    print(f'These are {"" if is_same else "not "}the clips in {spikes.LOG}')


def write_pictures(replayed: recomputation.Step, out: str | os.PathLike[str]):
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
  # The arrays of frames, such as source and target, in the order of the batch.
  frames = [
      x
      for x in replayed.batch.values()
      if x.ndim == 5 and x.dtype == np.uint8  # [B, T, H, W, 3]
  ]
  with files.write_whole(out) as part:
    os.mkdir(part)
    for number, row in enumerate(zip(*frames)):
      # The frames of an array stand side by side; shorter lines are filled up
      # with black.
      lines = [np.concatenate([*line], axis=1) for line in row]  # [H, T * W, 3]
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
