"""A run of the training command that is started and killed many times.

`kills.py` uses it. The run has the tiny model of tests/tiny.py.
"""

import os
import pathlib
import re
import subprocess
import sys
import time
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

ROOT = pathlib.Path(__file__).parents[1]
# More steps than any run takes.
NUM_STEPS = 1_000_000


class Times(NamedTuple):
  """How long parts of a run take.

  Attributes:
    startup: seconds from the start of the process to the first step.
    step: seconds of a step.
    save: seconds from the step of a checkpoint to the next step, which waits
      for the checkpoint.
  """

  startup: float
  step: float
  save: float


class Run:
  """A run that is started many times; each start has a log of its own.

  Attributes:
    workdir: folder of the run. Logs are written beside it.
    cache: folder of the compilation cache, which runs may share.
    save_every: steps between checkpoints.
  """

  def __init__(
      self, workdir: pathlib.Path, cache: pathlib.Path, save_every: int
  ):
    self.workdir = workdir
    self.cache = cache
    self.save_every = save_every
    self._arguments = [
        f'--config={ROOT}/tests/tiny.py',
        f'--workdir={workdir}',
        f'--config.num_steps={NUM_STEPS}',
        f'--config.eval_every={NUM_STEPS}',
        f'--config.checkpoint.save_every={save_every}',
        '--config.log_every=1',
    ]
    self._starts = 0

  def start(self) -> tuple[subprocess.Popen, pathlib.Path]:
    """Starts the run; returns its process and the path of its log."""
    log = self.workdir.with_name(f'{self.workdir.name}_{self._starts:03d}.log')
    self._starts += 1
    with open(log, 'w') as file:
      process = subprocess.Popen(
          [sys.executable, '-m', 'rvm_jax.main', *self._arguments],
          cwd=ROOT,
          env=os.environ
          | {
              'JAX_COMPILATION_CACHE_DIR': str(self.cache),
              'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
          },
          stdout=file,
          stderr=file,
      )
    return process, log

  def advance(self, *nums_done: int) -> tuple[list[float], str]:
    """Starts the run and kills it after a number of steps.

    Args:
      *nums_done: numbers of steps in ascending order. The run is killed when it
        has done the last of them.

    Returns:
      Seconds from the start to each of these numbers, and the text of the log.
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

  def measure(self) -> Times:
    """Measures how long a start, a step and a save take."""
    end = self.save_every
    (first, last, saved), _ = self.advance(1, end, end + 1)
    return Times(first, (last - first) / (end - 1), saved - last)

  def newest(self) -> int:
    """Returns the step of the newest whole checkpoint, 0 if there is none."""
    folder = self.workdir / 'checkpoints'
    if not folder.exists():
      return 0
    read_only = ocp.CheckpointManagerOptions(read_only=True)
    with ocp.CheckpointManager(folder, options=read_only) as manager:
      return manager.latest_step() or 0

  def is_saving(self) -> bool:
    """Returns whether a checkpoint has been begun and is not whole."""
    checkpoints = self.workdir / 'checkpoints'
    return any(checkpoints.glob('*.orbax-checkpoint-tmp*'))

  def read(self, step: int) -> dict[str, bytes]:
    """Reads a checkpoint.

    Args:
      step: the step of the checkpoint.

    Returns:
      Name -> bytes of an array, or of the data position.
    """
    path = self.workdir / 'checkpoints' / str(step)
    with ocp.PyTreeCheckpointer() as checkpointer:
      tree = checkpointer.metadata(path / 'state').item_metadata.tree
      as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
      state = checkpointer.restore(
          path / 'state', restore_args=jax.tree.map(lambda _: as_numpy, tree)
      )
    contents = {
        jax.tree_util.keystr(key): np.asarray(leaf).tobytes()
        for key, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    return contents | {'data': (path / 'data' / 'metadata').read_bytes()}


def steps_in(log: str) -> list[int]:
  """Returns the steps in the complete progress lines of a log."""
  return [int(step) for step in re.findall(r'step (\d+)/.*\n', log)]


def wait_for_steps(
    process: subprocess.Popen,
    log: pathlib.Path,
    num_done: int,
    seconds: float = float('inf'),
):
  """Waits until the log has `num_done` steps, or for `seconds` at most."""
  deadline = time.perf_counter() + seconds
  while len(steps_in(log.read_text())) < num_done:
    if process.poll() is not None:
      raise SystemExit(f'the run ended by itself, see {log}')
    if time.perf_counter() > deadline:
      return
    time.sleep(0.003)
