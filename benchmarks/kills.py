"""Kills processes of a run at random moments and compares how it ends.

  python benchmarks/kills.py --kills=50 --workdir=DIR

A run of two processes with the tiny model of tests/tiny.py is started on CPU by
`experiments/launch.py --backend=local`. A process, a data worker, or both get
SIGKILL at a random moment, and the launcher starts the run again, until all
kills are done and the run has reached its last step. Each kill falls into
another phase, in turns: saving, just after resuming, steps, start-up, an
evaluation, compiling.

The output and the files of the run are checked:
  - Each start resumes from the newest whole checkpoint.
  - No more steps are lost than `--save_every`, and the one that was computed
    while a checkpoint was being written.
  - The run ends with exit code 0, and the parameters, the state of the
    optimizer and the data position at its last step equal those of a run that
    was never disturbed, bit for bit.
"""

import argparse
import collections
import os
import pathlib
import signal
import time
from typing import NamedTuple

import numpy as np
import runs
import saved

# For each phase, the line of process 0 after which it begins, and about how
# many seconds it lasts. None: it begins with the processes, or after a step
# that `Killer` chooses.
PHASES = {
    'save': (None, 0.5),
    'resumed': (runs.RESUMED, 1.0),
    'steps': (None, 0.3),
    'start-up': (None, 6.0),
    'evaluation': (None, 5.0),
    'compile': (r'^\[0\].* Parameters:', 4.0),
}
VICTIMS = ('process 0', 'process 1', 'worker', 'process and worker')


class Kill(NamedTuple):
  """What was killed, and when.

  Attributes:
    phase: the phase of the run, a key of PHASES.
    victim: what was killed, one of VICTIMS.
    seconds: time of the kill, as `time.monotonic` counts.
    newest: step of the newest whole checkpoint after all processes had ended; 0
      if there was none.
  """

  phase: str
  victim: str
  seconds: float
  newest: int


class Killer:
  """Kills processes of a run, once after each of its starts."""

  def __init__(self, launch: runs.Launch, options: argparse.Namespace):
    """Takes a run.

    Args:
      launch: the run.
      options: options of the command line, with which it was launched.
    """
    self._launch = launch
    self._options = options
    self._rng = np.random.default_rng(options.seed)
    # Process ids of the newest start, and number of its first line of output.
    self._pids: list[int] = []
    self._begin = 0

  def kill(self, number: int) -> Kill:
    """Waits for a moment, kills, and waits until the run is started again.

    Args:
      number: number of the kill, from 0. Phases take turns by it.

    Raises:
      TimeoutError: the run has ended, or does not reach the phase.
    """
    self._pids = self._launch.wait_for_leaders(
        self._options.processes, self._pids
    )
    phase = self._choose_phase(number)
    self._wait_for(phase)
    victim, pids = self._choose_victim()
    seconds = time.monotonic()
    for pid in pids:
      os.kill(pid, signal.SIGKILL)
    self._begin = self._launch.wait(runs.RESTART, self._begin) + 1
    newest = max(saved.steps(self._launch.workdir), default=0)
    return Kill(phase, victim, seconds, newest)

  def _choose_phase(self, number):
    """Returns the phase whose turn it is, or another one if it cannot come."""
    newest = self._newest()
    phase = list(PHASES)[number % len(PHASES)]
    # The run must not end before the last kill: near its end, kills come before
    # it does steps.
    ends_soon = newest + 2 * self._options.eval_every > self._options.num_steps
    if ends_soon and phase in ('steps', 'save', 'evaluation'):
      phase = ('start-up', 'compile', 'resumed')[number % 3]
    return 'compile' if phase == 'resumed' and not newest else phase

  def _wait_for(self, phase):
    """Waits until a phase has begun, and then for a random part of it."""
    line, seconds = PHASES[phase]
    newest = self._newest()
    save_every, eval_every = self._options.save_every, self._options.eval_every
    if phase == 'steps':
      line = runs.step_line(newest + self._rng.integers(1, save_every + 1))
    elif phase == 'save':
      line = runs.step_line(newest + save_every)
    elif phase == 'evaluation':
      line = runs.step_line((newest // eval_every + 1) * eval_every)
    if line:
      self._launch.wait(line, self._begin)
    if phase == 'save':
      saved.wait(self._launch)
    time.sleep(self._rng.uniform(0, seconds))

  def _choose_victim(self):
    """Returns what to kill, one of VICTIMS, and its process ids."""
    victim = VICTIMS[self._rng.integers(len(VICTIMS))]
    leader = self._pids[self._rng.integers(len(self._pids))]
    # During start-up a process has no worker yet, and is killed in its place.
    workers = self._launch.workers(leader)[:1]
    if 'worker' in victim and workers:
      return victim, workers if victim == 'worker' else [*workers, leader]
    index = self._pids.index(leader)
    return f'process {index}', [leader]

  def _newest(self):
    return max(saved.steps(self._launch.workdir), default=0)


def check(
    kills: list[Kill], attempts: list[runs.Attempt], save_every: int
) -> list[list[str]]:
  """Checks each start and makes a row of the table for each kill.

  Args:
    kills: the kills, each of which ended one attempt.
    attempts: the attempts, one more than kills.
    save_every: steps between checkpoints.

  Returns:
    Rows of texts: phase, victim, exit codes, seconds until the processes were
    started again, seconds until the next step, steps lost. The last two are '-'
    if the next attempt was killed before its first step.

  Raises:
    SystemExit: an attempt did not resume from the newest checkpoint, or lost
      too many steps.
  """
  rows, last = [], 0
  for kill, ended, following in zip(kills, attempts, attempts[1:]):
    # The last step that was done. An attempt without steps does not change it.
    last = max([last if not ended.steps else 0, *ended.steps])
    row = [kill.phase, kill.victim]
    row.append(', '.join(f'{i}: {code}' for i, code in ended.codes.items()))
    row.append(f'{ended.ended - kill.seconds:.1f}')
    if not following.steps:
      rows.append([*row, '-', '-'])
      continue
    first, seconds = next(iter(following.steps.items()))
    lost = last - following.resumed
    if not kill.newest == following.resumed == first - 1:
      raise SystemExit(
          f'{kill}: the run resumed from step {following.resumed} and went on'
          f' with step {first}'
      )
    if lost > save_every + 1:
      raise SystemExit(
          f'{kill}: {lost} steps were lost, at most {save_every + 1} may be'
      )
    rows.append([*row, f'{seconds - kill.seconds:.1f}', str(lost)])
  return rows


def main():
  """Kills as often as the command line says, checks, and prints a table."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--kills', type=int, default=50, help='number of kills')
  # These are settings of the run.
  parser.add_argument('--processes', type=int, default=2)
  parser.add_argument('--num_steps', type=int, default=200)
  parser.add_argument('--save_every', type=int, default=5)
  parser.add_argument('--eval_every', type=int, default=10)
  parser.add_argument('--num_eval_scenes', type=int, default=16)
  parser.add_argument(
      '--seed', type=int, default=0, help='seed of moments and victims'
  )
  parser.add_argument(
      '--workdir', type=pathlib.Path, required=True, help='new or empty folder'
  )
  options = parser.parse_args()
  options.workdir = runs.new_folder(options.workdir)

  def launch(name, **settings):
    settings = dict(num_steps=options.num_steps, **settings)
    return runs.Launch(
        options.workdir / name,
        options.workdir / 'compiled',
        f'--max_restarts={options.kills}',
        '--config.data.num_workers=1',
        f'--config.checkpoint.save_every={options.save_every}',
        *(f'--config.{key}={value}' for key, value in settings.items()),
        processes=options.processes,
    )

  # The run that is not disturbed also fills the cache of compiled programs. How
  # it evaluates changes nothing.
  if launch('whole', num_eval_scenes=0).end(1200):
    raise SystemExit(f'the undisturbed run failed: {options.workdir}/whole.log')
  began = time.monotonic()
  killed = launch(
      'killed',
      eval_every=options.eval_every,
      num_eval_scenes=options.num_eval_scenes,
  )
  try:
    killer, kills = Killer(killed, options), []
    for number in range(options.kills):
      kills.append(killer.kill(number))
      print(f'kill {number + 1}: {kills[-1]}', flush=True)
    code = killed.end(1200)
  finally:
    killed.close()
  if code:
    raise SystemExit(f'exit code {code}, see {options.workdir}/killed.log')
  rows = check(kills, killed.attempts(), options.save_every)
  left, right = (
      saved.read(options.workdir / name, options.num_steps)
      for name in ('whole', 'killed')
  )
  if left != right:
    differ = sorted(key for key in left if left[key] != right.get(key))
    raise SystemExit(f'the last step differs in {differ}')

  heads = 'moment', 'killed', 'exit codes', 'restart', 'next step', 'lost'
  runs.print_table([*heads], rows)
  phases = collections.Counter(kill.phase for kill in kills)
  print(
      f'{len(kills)} kills ({dict(phases)}) in'
      f' {time.monotonic() - began:.0f} s. Step {options.num_steps} equals that'
      ' of a run that was never disturbed, bit for bit.'
  )


if __name__ == '__main__':
  main()
