"""Sends signals to a run at chosen moments and shows how it ends.

  python benchmarks/faults.py --workdir=DIR [--only=SIGTERM]

For each fault and each moment a run with the tiny model of tests/tiny.py is
started on CPU by `experiments/launch.py --backend=local`. It has two processes
with a data worker each. It resumes from a checkpoint of step 20, except where
the moment is its first evaluation. A checkpoint is due every 10 steps and the
last step is 40. The launcher does not restart the run.

A cell has the exit codes, the seconds from the signal until launcher and
processes have ended, and the number of steps that were done and are in no
checkpoint. If all exit codes are equal there is one; otherwise those of process
0 and 1 come first and that of the launcher last. '-': not tried.

With root's rights one more run is tried on a small disk in memory, which is
full while a checkpoint is due and has room again for the next one.
"""

import argparse
from collections.abc import Callable
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

import runs
import saved

# Step of the checkpoint that runs resume from, and last step.
_START = 20
_END = 40
# The line of process 0 after the model was built.
_BUILT = r'^\[0\].* Parameters:'
_WHOLE_SECONDS = 600


class Fault(NamedTuple):
  """A signal, and which processes it is sent to.

  Attributes:
    name: name in the table.
    signal: the signal.
    find: function of the launch that returns the process ids to send it to.
      Negative numbers are process groups, as for `os.kill`.
    moments: the moments at which it is tried, keys of MOMENTS.
  """

  name: str
  signal: signal.Signals
  find: Callable[[runs.Launch], list[int]]
  moments: tuple[str, ...]


def _start_up(launch):
  launch.wait_for_leaders(2)
  time.sleep(2)


def _resumed(launch):
  launch.wait(runs.RESUMED)


def _compile(launch):
  launch.wait(runs.RESUMED)
  time.sleep(1)


def _first_evaluation(launch):
  launch.wait(_BUILT)
  time.sleep(4)


def _steps(launch):
  launch.wait(runs.step_line(_START + 4))


def _evaluation(launch):
  launch.wait(runs.step_line(_START + 10))
  time.sleep(1)


def _saving(launch):
  launch.wait(runs.step_line(_START + 10))
  saved.wait(launch)


def _last_step(launch):
  launch.wait(runs.step_line(_END))


# By name, functions that wait until a launch has reached the moment.
MOMENTS = {
    'start-up': _start_up,
    'first evaluation': _first_evaluation,
    'just resumed': _resumed,
    'compiling': _compile,
    'steps': _steps,
    'evaluation': _evaluation,
    'saving': _saving,
    'last step': _last_step,
}
_ALL = tuple(MOMENTS)


def _process(index):
  return lambda launch: launch.leaders()[index : index + 1]


def _group(launch):
  return [-launch.leaders()[1]]


def _launcher(launch):
  return [launch.process.pid]


def _worker(launch):
  return launch.workers(launch.leaders()[1])[:1]


FAULTS = (
    Fault('SIGTERM to process 1', signal.SIGTERM, _process(1), _ALL),
    Fault('SIGTERM to its group', signal.SIGTERM, _group, _ALL),
    Fault(
        'SIGTERM to all', signal.SIGTERM, lambda launch: launch.leaders(), _ALL
    ),
    Fault('SIGTERM to the launcher', signal.SIGTERM, _launcher, _ALL),
    Fault('SIGINT to process 1', signal.SIGINT, _process(1), _ALL),
    Fault(
        'SIGINT to all', signal.SIGINT, lambda launch: launch.leaders(), _ALL
    ),
    Fault('SIGKILL of process 0', signal.SIGKILL, _process(0), _ALL),
    Fault('SIGKILL of process 1', signal.SIGKILL, _process(1), _ALL),
    Fault(
        'SIGKILL of a data worker',
        signal.SIGKILL,
        _worker,
        ('steps', 'evaluation', 'saving'),
    ),
    Fault(
        'SIGSTOP of process 1 (it hangs)',
        signal.SIGSTOP,
        _process(1),
        ('just resumed', 'steps', 'evaluation'),
    ),
    Fault(
        'SIGUSR1 to process 0',
        signal.SIGUSR1,
        _process(0),
        ('start-up', 'steps', 'evaluation'),
    ),
)


def try_fault(
    fault: Fault, moment: str, folder: pathlib.Path, base: pathlib.Path
) -> str:
  """Runs once with a fault; returns the cell of the table.

  Args:
    fault: the signal, and which processes get it.
    moment: when it is sent, a key of MOMENTS.
    folder: new folder for the run.
    base: folder with a workdir that has a checkpoint of step `_START`, and with
      the cache of compiled programs.
  """
  folder.mkdir()
  workdir = folder / 'run'
  if moment != 'first evaluation':
    shutil.copytree(base / 'run', workdir)
  # With the cache compiling would be too short to be hit.
  cache = folder / 'compiled' if moment == 'compiling' else base / 'compiled'
  # Without scenes an evaluation would be too short to be hit.
  num_scenes = 16 if 'evaluation' in moment else 0
  launch = _launch(workdir, cache, f'--config.num_eval_scenes={num_scenes}')
  try:
    MOMENTS[moment](launch)
    sent = time.monotonic()
    for pid in fault.find(launch):
      os.kill(pid, fault.signal)
    code = launch.process.wait(_WHOLE_SECONDS)
    seconds = time.monotonic() - sent
  except subprocess.TimeoutExpired:
    return '**never ended**'
  finally:
    launch.close()
  # The launcher names only codes other than 0.
  (attempt,) = launch.attempts()
  codes = {attempt.codes.get(i, 0) for i in range(2)} | {code}
  if len(codes) > 1:
    each = [str(attempt.codes.get(i, 'killed' if code else 0)) for i in (0, 1)]
    text = f'{each[0]} and {each[1]}: {code}'
  else:
    text = str(code)
  last = max(attempt.steps, default=attempt.resumed)
  lost = max(0, last - max(saved.steps(workdir), default=0))
  return f'{text}, {seconds:.1f} s, {lost}'


def _launch(workdir, cache, *arguments):
  return runs.Launch(
      workdir,
      cache,
      '--max_restarts=0',
      f'--config.num_steps={_END}',
      '--config.eval_every=10',
      '--config.checkpoint.save_every=10',
      '--config.checkpoint.keep_last=9',
      '--config.data.num_workers=1',
      *arguments,
  )


def make_base(base: pathlib.Path):
  """Makes a workdir with a checkpoint of step `_START` and fills the cache."""
  base.mkdir()
  if _launch(base / 'run', base / 'compiled').end(_WHOLE_SECONDS):
    raise SystemExit(f'the run without a fault failed, see {base}/run.log')
  for step in (_START + 10, _END):
    shutil.rmtree(base / 'run' / 'checkpoints' / str(step))


def try_full_disk(folder: pathlib.Path, base: pathlib.Path) -> str:
  """Fills the disk of a run while it saves; returns what became of the run.

  Args:
    folder: new folder for the run, on which a disk in memory is mounted.
    base: folder with a workdir and the cache, as in `try_fault`.
  """
  folder.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', str(folder)]
  if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
    return 'not tried: no right to mount a disk'
  try:
    shutil.copytree(base / 'run', folder / 'run')
    launch = _launch(
        folder / 'run', base / 'compiled', '--config.num_eval_scenes=0'
    )
    launch.wait(runs.step_line(_START + 5))
    filler = folder / 'filler'
    with filler.open('wb', buffering=0) as file:
      with contextlib.suppress(OSError):
        while file.write(bytes(4096)):
          pass
    # This step comes after the save that must fail.
    with contextlib.suppress(TimeoutError):
      launch.wait(runs.step_line(_START + 15), seconds=120)
    filler.unlink()
    code = launch.end(_WHOLE_SECONDS)
    said = [
        line.text.strip()
        for line in launch.lines
        if re.search('[Nn]o space|disk|RESOURCE_EXHAUSTED', line.text)
    ]
    steps = saved.steps(folder / 'run')
  finally:
    subprocess.run(['umount', '--lazy', str(folder)])
  return f'exit code {code}, checkpoints {steps}, lines:\n' + '\n'.join(said)


def main():
  """Tries what the command line asks for and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--only', default='', help='regular expression of FAULT at MOMENT'
  )
  parser.add_argument(
      '--workdir', type=pathlib.Path, required=True, help='new or empty folder'
  )
  options = parser.parse_args()
  workdir = runs.new_folder(options.workdir)
  base = workdir / 'base'
  make_base(base)
  rows = []
  for index, fault in enumerate(FAULTS):
    cells = []
    for number, moment in enumerate(MOMENTS):
      name, cell = f'{fault.name} at {moment}', '-'
      if moment in fault.moments and re.search(options.only, name):
        cell = try_fault(fault, moment, workdir / f'{index}_{number}', base)
        print(f'{name}: {cell}', flush=True)
      cells.append(cell)
    if set(cells) != {'-'}:
      rows.append([fault.name, *cells])
  runs.print_table(['exit code, seconds, steps lost', *MOMENTS], rows)
  if re.search(options.only, 'full disk'):
    print('full disk:', try_full_disk(workdir / 'full', base))


if __name__ == '__main__':
  main()
