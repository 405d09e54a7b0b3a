"""Kills a run at random moments, and checks that each start goes on exactly.

  python benchmarks/kills.py --kills=50 --workdir=DIR

The real command with a tiny model (tests/tiny.py) is started on CPU again and
again, each time ended by SIGKILL. About a third of the kills
come at a moment of the start-up (imports, restoring, compiling), drawn from the
time that takes with a warm compilation cache; a third after a drawn number of
steps and a drawn part of one more; a third at a moment of a save, drawn from
the time that takes. After each it is checked, from outside:
  - the newest whole checkpoint can be read, all of it, with its data position;
  - its step has not gone back;
  - at most `--save_every` steps, by the run's log, are lost;
  - by the next start's log, that it went on from exactly this checkpoint.
In the end the run goes on to one more checkpoint, and parameters, optimiser
state and data position are compared with those of a run that was not stopped
before, bit for bit.
"""

import argparse
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

ROOT = pathlib.Path(__file__).parents[1]
PHASES = ('imports', 'restore and compile', 'steps', 'save')
NUM_STEPS = 1_000_000  # No run gets so far.


class Kill(NamedTuple):
  """What is known after a kill.

  Attributes:
    phase: of PHASES.
    lost: steps that this life did, by its log, and that no checkpoint holds.
    newest: step of the newest whole checkpoint, 0 for none.
  """

  phase: str
  lost: int
  newest: int


class Times(NamedTuple):
  """Seconds that parts of a run take.

  Attributes:
    startup: from the start of the process to the first step.
    step: one step.
    save: from the step of a checkpoint to the next, which waits for it.
  """

  startup: float
  step: float
  save: float


class Run:
  """A run that can be started many times; each start has a log of its own."""

  def __init__(self, folder: pathlib.Path, options: argparse.Namespace):
    self.workdir = folder
    self._cache = options.workdir / 'compiled'
    self._arguments = [
        f'--config={ROOT}/tests/tiny.py',
        f'--workdir={folder}',
        f'--config.num_steps={NUM_STEPS}',
        f'--config.eval_every={NUM_STEPS}',
        f'--config.checkpoint.save_every={options.save_every}',
        '--config.log_every=1',
    ]
    self._starts = 0

  def start(self) -> tuple[subprocess.Popen, pathlib.Path]:
    log = self.workdir.with_name(f'{self.workdir.name}_{self._starts:03d}.log')
    self._starts += 1
    with open(log, 'w') as file:
      process = subprocess.Popen(
          [sys.executable, '-m', 'rvm_jax.main', *self._arguments],
          cwd=ROOT,
          env=os.environ
          | {
              'JAX_COMPILATION_CACHE_DIR': str(self._cache),
              'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
          },
          stdout=file,
          stderr=file,
      )
    return process, log

  def advance(self, *nums_done: int) -> tuple[list[float], str]:
    """Starts, does so many steps, kills.

    Returns the seconds to each of these numbers, and the log.
    """
    began = time.perf_counter()
    process, log = self.start()
    seconds = []
    for num_done in nums_done:
      wait_for_steps(process, log, num_done)
      seconds.append(time.perf_counter() - began)
    process.kill()
    process.wait()
    return seconds, log.read_text()

  def measure(self, save_every: int) -> Times:
    """Times a start, steps and a save."""
    (first, last, saved), _ = self.advance(1, save_every, save_every + 1)
    return Times(first, (last - first) / (save_every - 1), saved - last)

  def newest(self) -> int:
    """Step of the newest whole checkpoint, 0 for none."""
    folder = self.workdir / 'checkpoints'
    if not folder.exists():
      return 0
    read_only = ocp.CheckpointManagerOptions(read_only=True)
    with ocp.CheckpointManager(folder, options=read_only) as manager:
      return manager.latest_step() or 0

  def is_saving(self) -> bool:
    """Whether a checkpoint was begun and is not whole."""
    checkpoints = self.workdir / 'checkpoints'
    return any(checkpoints.glob('*.orbax-checkpoint-tmp*'))

  def read(self, step: int) -> dict[str, bytes]:
    """A checkpoint's arrays and its data position, as bytes by name."""
    path = self.workdir / 'checkpoints' / str(step)
    with ocp.PyTreeCheckpointer() as checkpointer:
      tree = checkpointer.metadata(path / 'state').item_metadata.tree
      to_numpy = lambda _: ocp.RestoreArgs(restore_type=np.ndarray)
      state = checkpointer.restore(
          path / 'state', restore_args=jax.tree.map(to_numpy, tree)
      )
    contents = {
        jax.tree_util.keystr(key): np.asarray(leaf).tobytes()
        for key, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    return contents | {'data': (path / 'data' / 'metadata').read_bytes()}


def steps_in(log: str) -> list[int]:
  """Steps done, as the progress lines that are whole say."""
  return [int(step) for step in re.findall(r'step (\d+)/.*\n', log)]


def check_start(log: str, expected: int):
  """Raises SystemExit unless a start, if it got so far, went on from there."""
  steps = steps_in(log)
  resumed = re.findall(r'Resumed from \S+/(\d+)\n', log)
  if resumed and int(resumed[0]) != expected:
    raise SystemExit(f'resumed from {resumed[0]}, expected {expected}')
  if steps and (steps[0] != expected + 1 or bool(resumed) != bool(expected)):
    raise SystemExit(f'first step {steps[0]} after checkpoint {expected}')


def wait_for_steps(
    process: subprocess.Popen,
    log: pathlib.Path,
    num_done: int,
    seconds: float = float('inf'),
):
  """Waits until the log shows so many steps, or the seconds are over."""
  deadline = time.perf_counter() + seconds
  while len(steps_in(log.read_text())) < num_done:
    if process.poll() is not None:
      raise SystemExit(f'the run ended by itself, see {log}')
    if time.perf_counter() > deadline:
      return
    time.sleep(0.003)


def kill_once(
    run: Run,
    rng: np.random.Generator,
    before: int,
    times: Times,
    save_every: int,
) -> Kill:
  """Starts the run, which stands at step `before`, kills it and looks."""
  process, log = run.start()
  moment = rng.integers(3)
  if moment == 0:
    wait_for_steps(process, log, 2 * save_every, rng.uniform(0, times.startup))
  elif moment == 1:
    wait_for_steps(process, log, rng.integers(1, 2 * save_every + 1))
    time.sleep(rng.uniform(0, times.step))
  else:
    wait_for_steps(process, log, save_every * rng.integers(1, 3))
    time.sleep(rng.uniform(0, times.save))
  process.send_signal(signal.SIGKILL)
  if process.wait() != -signal.SIGKILL:
    raise SystemExit(f'the run ended by itself, see {log}')

  text, newest = log.read_text(), run.newest()
  check_start(text, before)
  if newest < before:
    raise SystemExit(f'checkpoint {before} is gone, the newest is {newest}')
  if newest:
    run.read(newest)
  last = max(steps_in(text), default=before)
  if run.is_saving():
    phase = 'save'
  elif steps_in(text):
    phase = 'steps'
  else:
    phase = PHASES['Devices: ' in text]
  kill = Kill(phase, last - newest, newest)
  if kill.lost > save_every:
    raise SystemExit(f'{kill}: more than save_every={save_every}, see {log}')
  return kill


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--kills', type=int, default=50)
  parser.add_argument(
      '--save_every', type=int, default=20, help='steps, at least 2'
  )
  parser.add_argument('--seed', type=int, default=0, help='of the moments')
  parser.add_argument(
      '--workdir', type=pathlib.Path, required=True, help='empty or not there'
  )
  options = parser.parse_args()
  options.workdir = options.workdir.absolute()
  options.workdir.mkdir(parents=True, exist_ok=True)
  if any(options.workdir.iterdir()):
    raise SystemExit(f'{options.workdir} is not empty')
  os.environ['JAX_PLATFORMS'] = 'cpu'

  timed = Run(options.workdir / 'timed', options)
  timed.advance(1)  # Fills the compilation cache.
  times = timed.measure(options.save_every)
  print(times)
  killed = Run(options.workdir / 'killed', options)
  rng = np.random.default_rng(options.seed)
  kills, newest = [], 0
  for number in range(1, options.kills + 1):
    kill = kill_once(killed, rng, newest, times, options.save_every)
    newest = kill.newest
    kills.append(kill)
    print(
        f'kill {number:3d} in {kill.phase:19s} newest checkpoint {newest:5d}'
        f'  lost {kill.lost:3d} steps',
        flush=True,
    )
  check_start(killed.advance(options.save_every + 1)[1], newest)
  end = newest + options.save_every
  whole = Run(options.workdir / 'whole', options)
  whole.advance(end + 1)
  if killed.read(end) != whole.read(end):
    raise SystemExit(f'step {end} is not that of a run that was not stopped')

  print(f'\n{"killed in":20s}{"kills":>6s}{"worst loss":>12s}')
  counts = collections.Counter(kill.phase for kill in kills)
  for phase in PHASES:
    worst = max((k.lost for k in kills if k.phase == phase), default='-')
    print(f'{phase:20s}{counts[phase]:6d}{worst:>12}')
  print(
      f'{len(kills)} kills, each gone on from the newest whole checkpoint. A'
      f' checkpoint every {options.save_every} steps: at most'
      f' {max(kill.lost for kill in kills)} steps lost.\n'
      f'Step {end} equals that of a run that was not stopped, bit for bit.'
  )


if __name__ == '__main__':
  main()
