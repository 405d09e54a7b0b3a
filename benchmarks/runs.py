"""Starts a run as a person would, and follows its output and processes.

`kills.py`, `faults.py` and `damage.py` use it to disturb runs. A run has the
tiny model of tests/tiny.py on virtual CPU devices, and is started by
`experiments/launch.py --backend=local`.
"""

from collections.abc import Sequence
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from typing import NamedTuple

from absl import logging
import jax

ROOT = pathlib.Path(__file__).parents[1]
# Most of the time of such a run is spent on compiling. With these flags, which
# turn optimisation off, compiling takes a fifth of the time.
_XLA_FLAGS = (
    '--xla_backend_optimization_level=0'
    ' --xla_llvm_disable_expensive_passes=true'
    ' --xla_cpu_use_fusion_emitters=false'
)
_POLL_SECONDS = 0.002

# Lines of the launcher: it starts the processes again; a process has ended.
RESTART = r'^\[launch\] exit code \d+: restart'
ENDED = r'^\[launch\] process (\d+) ended with exit code (\d+)'
# Lines of process 0: it has resumed from a checkpoint; a step is done.
RESUMED = r'^\[0\].* Resumed from \S+/(\d+)'
STEP = r'^\[0\].* step (\d+)/'


class Line(NamedTuple):
  """A line of output and when it came, as `time.monotonic` counts."""

  seconds: float
  text: str


class Attempt(NamedTuple):
  """What the output says about one start of the processes.

  Attributes:
    codes: exit codes other than 0, by the number of the process.
    resumed: step of the checkpoint that it resumed from; 0 if there was none.
    steps: time at which each step was printed, as `time.monotonic` counts, by
      the number of the step.
    ended: when the launcher started the next attempt; None in the last one.
  """

  codes: dict[int, int]
  resumed: int
  steps: dict[int, float]
  ended: float | None


class Launch:
  """A run that has been launched. A thread reads its output as it comes.

  Attributes:
    workdir: folder of the run.
    process: the process of the launcher.
    lines: the lines that launcher and processes have printed so far.
  """

  def __init__(
      self,
      workdir: pathlib.Path,
      cache: pathlib.Path,
      *arguments: str,
      processes: int = 2,
  ):
    """Starts the run.

    Args:
      workdir: folder of the run. The log is written beside it.
      cache: folder of the compilation cache, which runs may share.
      *arguments: further arguments of the launcher, such as '--config.seed=3'.
      processes: number of processes, which have two devices each.
    """
    self.workdir = workdir
    self.lines: list[Line] = []
    self._changed = threading.Condition()
    self._has_ended = False
    self._log = workdir.with_name(f'{workdir.name}.log').open('a')
    self.process = subprocess.Popen(
        [
            sys.executable,
            'experiments/launch.py',
            f'--config={ROOT}/tests/tiny.py',
            f'--workdir={workdir}',
            f'--processes={processes}',
            '--devices=2',
            '--platform=cpu',
            '--backoff_seconds=0',
            '--config.log_every=1',
            *arguments,
        ],
        cwd=ROOT,
        env=os.environ
        | {
            'XLA_FLAGS': _XLA_FLAGS,
            'JAX_COMPILATION_CACHE_DIR': str(cache),
            'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
    )
    self._reader = threading.Thread(target=self._read, daemon=True)
    self._reader.start()

  def _read(self):
    """Collects lines until launcher and processes have closed the output."""
    for text in self.process.stdout:
      self._log.write(text)
      self._log.flush()
      with self._changed:
        self.lines.append(Line(time.monotonic(), text))
        self._changed.notify_all()
    with self._changed:
      self._has_ended = True
      self._changed.notify_all()

  def wait(self, pattern: str, begin: int = 0, seconds: float = 300) -> int:
    """Waits for a line.

    Args:
      pattern: regular expression that is looked for in each line.
      begin: number of the first line to look at.
      seconds: how long to wait.

    Returns:
      The number of the first line with a match.

    Raises:
      TimeoutError: no such line came in time, or the run has ended without it.
    """
    deadline = time.monotonic() + seconds
    number = begin
    with self._changed:
      while True:
        while number < len(self.lines):
          if re.search(pattern, self.lines[number].text):
            return number
          number += 1
        left = deadline - time.monotonic()
        if self._has_ended or left <= 0:
          raise TimeoutError(f'no {pattern!r} in {self._log.name}')
        self._changed.wait(left)

  def attempts(self) -> list[Attempt]:
    """Returns what the output so far says about each start of the processes."""
    found = [Attempt({}, 0, {}, None)]
    for seconds, text in list(self.lines):
      if match := re.search(RESTART, text):
        found[-1] = found[-1]._replace(ended=seconds)
        found.append(Attempt({}, 0, {}, None))
      elif match := re.search(ENDED, text):
        found[-1].codes[int(match[1])] = int(match[2])
      elif match := re.search(RESUMED, text):
        found[-1] = found[-1]._replace(resumed=int(match[1]))
      elif match := re.search(STEP, text):
        found[-1].steps[int(match[1])] = seconds
    return found

  def end(self, seconds: float = 300) -> int:
    """Waits until the run has ended; returns the launcher's exit code.

    Args:
      seconds: how long to wait. Whatever runs longer is killed.

    Raises:
      subprocess.TimeoutExpired: the run has not ended in time.
    """
    try:
      code = self.process.wait(seconds)
    finally:
      self.close()
    return code

  def leaders(self) -> list[int]:
    """Returns the ids of the run's processes, in the order of their numbers."""
    return _children(self.process.pid)

  def wait_for_leaders(
      self, number: int, before: Sequence[int] = (), seconds: float = 60
  ) -> list[int]:
    """Waits until the run's processes have been started; returns their ids.

    Args:
      number: number of processes to wait for.
      before: process ids of an earlier start, which must be gone.
      seconds: how long to wait.

    Raises:
      TimeoutError: the processes were not started in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
      pids = self.leaders()
      if len(pids) == number and not set(pids) & set(before):
        return pids
      time.sleep(_POLL_SECONDS)
    raise TimeoutError(f'processes were not started, see {self._log.name}')

  def workers(self, pid: int) -> list[int]:
    """Returns the process ids of the data workers of a process."""
    return [
        child
        for child in _children(pid)
        if 'resource_tracker' not in _command_line(child)
    ]

  def close(self):
    """Kills whatever still runs, and closes the log."""
    for pid in self.leaders():
      _kill_group(pid)
    self.process.kill()
    self.process.wait()
    self._reader.join(60)
    self._log.close()


def _children(pid):
  """Returns the ids of a process's children, in the order of their start."""
  found = []
  try:
    for task in sorted(pathlib.Path(f'/proc/{pid}/task').iterdir()):
      found += [int(x) for x in (task / 'children').read_text().split()]
  except (FileNotFoundError, ProcessLookupError):
    return found
  return found


def _command_line(pid):
  try:
    return pathlib.Path(f'/proc/{pid}/cmdline').read_text()
  except (FileNotFoundError, ProcessLookupError):
    return ''


def _kill_group(pid):
  with contextlib.suppress(ProcessLookupError):
    os.killpg(pid, signal.SIGKILL)


def step_line(step: int) -> str:
  """Returns a regular expression for the line that says a step is done."""
  return STEP.replace(r'(\d+)', str(step))


def new_folder(path: pathlib.Path) -> pathlib.Path:
  """Makes the folder of a benchmark; returns its absolute path.

  It also settles that this process and the runs that it starts use the CPU, and
  that this process logs errors only.

  Raises:
    SystemExit: the folder is not empty.
  """
  path = path.absolute()
  path.mkdir(parents=True, exist_ok=True)
  if any(path.iterdir()):
    raise SystemExit(f'--workdir={path} is not empty; give a new folder')
  os.environ['JAX_PLATFORMS'] = 'cpu'
  logging.set_verbosity(logging.ERROR)
  return path


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]):
  """Prints a table in Markdown, with the machine and the date below it."""
  for row in [heads, ['---'] * len(heads), *rows]:
    print('| ' + ' | '.join(row) + ' |')
  print(
      f'\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, jax'
      f' {jax.__version__}, {time.strftime("%Y-%m-%d")}\n'
  )
