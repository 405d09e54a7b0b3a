"""Kills a run at random moments and checks that it resumes exactly.

  python benchmarks/kills.py --kills=50 --workdir=DIR

The real training command, with the tiny model of tests/tiny.py, is started on
CPU again and again, and ended by SIGKILL each time. The moments are sampled. A
third of them lie in the start-up (imports, restoring, compiling with a warm
cache), a third after a random number of steps and a fraction of one more, and a
third in the time that a save takes. After each kill these checks are made from
outside:
  - The newest whole checkpoint, with its data position, can be read completely.
  - Its step is not lower than before.
  - According to the log, at most `--save_every` steps are lost.
  - According to the log of the next start, the run resumed from exactly this
    checkpoint.
In the end the run continues to one more checkpoint. Its parameters, optimizer
state and data position must equal those of a run that was never killed, bit for
bit.
"""

import argparse
import collections
import os
import pathlib
import re
import signal
import time
from typing import NamedTuple

import numpy as np
import runs

PHASES = ('imports', 'restore and compile', 'steps', 'save')


class Kill(NamedTuple):
  """What is known after a kill.

  Attributes:
    phase: the phase that was killed, one of PHASES.
    lost: number of steps that the log has and no checkpoint holds.
    newest: step of the newest whole checkpoint, 0 if there is none.
  """

  phase: str
  lost: int
  newest: int


def check_start(log: str, expected: int):
  """Raises SystemExit if a start resumed from another step than `expected`.

  A start that was killed before it resumed passes.
  """
  steps = runs.steps_in(log)
  resumed = re.findall(r'Resumed from \S+/(\d+)\n', log)
  if resumed and int(resumed[0]) != expected:
    raise SystemExit(f'resumed from {resumed[0]}, expected {expected}')
  if steps and (steps[0] != expected + 1 or bool(resumed) != bool(expected)):
    raise SystemExit(f'first step {steps[0]} after checkpoint {expected}')


def kill_once(
    run: runs.Run,
    rng: np.random.Generator,
    before: int,
    times: runs.Times,
) -> Kill:
  """Starts a run, kills it at a random moment and checks what is left.

  Args:
    run: the run.
    rng: generator that the moment is sampled from.
    before: step of the newest whole checkpoint before the start.
    times: how long parts of the run take.

  Returns:
    What is known after the kill.

  Raises:
    SystemExit: a check failed; the message says which.
  """
  save_every = run.save_every
  process, log = run.start()
  moment = rng.integers(3)
  if moment == 0:
    seconds = rng.uniform(0, times.startup)
    runs.wait_for_steps(process, log, 2 * save_every, seconds)
  elif moment == 1:
    runs.wait_for_steps(process, log, rng.integers(1, 2 * save_every + 1))
    time.sleep(rng.uniform(0, times.step))
  else:
    runs.wait_for_steps(process, log, save_every * rng.integers(1, 3))
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
  last = max(runs.steps_in(text), default=before)
  if run.is_saving():
    phase = 'save'
  elif runs.steps_in(text):
    phase = 'steps'
  else:
    # The command logs its devices when everything is imported.
    phase = 'restore and compile' if 'Devices: ' in text else 'imports'
  kill = Kill(phase, last - newest, newest)
  if kill.lost > save_every:
    raise SystemExit(f'{kill}: more than save_every={save_every}, see {log}')
  return kill


def main():
  """Kills a run as often as the command line says and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--kills', type=int, default=50)
  parser.add_argument(
      '--save_every', type=int, default=20, help='steps, at least 2'
  )
  parser.add_argument(
      '--seed', type=int, default=0, help='seed of the random moments'
  )
  parser.add_argument(
      '--workdir', type=pathlib.Path, required=True, help='new or empty folder'
  )
  options = parser.parse_args()
  options.workdir = options.workdir.absolute()
  options.workdir.mkdir(parents=True, exist_ok=True)
  if any(options.workdir.iterdir()):
    raise SystemExit(f'{options.workdir} is not empty')
  os.environ['JAX_PLATFORMS'] = 'cpu'

  timed, killed, whole = (
      runs.Run(
          options.workdir / name,
          options.workdir / 'compiled',
          options.save_every,
      )
      for name in ('timed', 'killed', 'whole')
  )
  # The first start fills the compilation cache.
  timed.advance(1)
  times = timed.measure()
  print(times)
  rng = np.random.default_rng(options.seed)
  kills, newest = [], 0
  for number in range(1, options.kills + 1):
    kill = kill_once(killed, rng, newest, times)
    newest = kill.newest
    kills.append(kill)
    print(
        f'kill {number:3d} in {kill.phase:19s} newest checkpoint {newest:5d}'
        f'  lost {kill.lost:3d} steps',
        flush=True,
    )
  check_start(killed.advance(options.save_every + 1)[1], newest)
  end = newest + options.save_every
  whole.advance(end + 1)
  if killed.read(end) != whole.read(end):
    raise SystemExit(f'step {end} differs from a run that was never killed')

  print(f'\n{"killed in":20s}{"kills":>6s}{"worst loss":>12s}')
  counts = collections.Counter(kill.phase for kill in kills)
  for phase in PHASES:
    worst = max((k.lost for k in kills if k.phase == phase), default='-')
    print(f'{phase:20s}{counts[phase]:6d}{worst:>12}')
  print(
      f'{len(kills)} kills; each time the run resumed from the newest whole'
      f' checkpoint. With a checkpoint every {options.save_every} steps, at'
      f' most {max(kill.lost for kill in kills)} steps were lost.\n'
      f'Step {end} equals that of a run that was never killed, bit for bit.'
  )


if __name__ == '__main__':
  main()
