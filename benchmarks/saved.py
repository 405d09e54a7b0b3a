"""Finds and reads checkpoints, for the benchmarks that disturb runs."""

import pathlib
import time
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import runs

_POLL_SECONDS = 0.002


def steps(workdir: pathlib.Path) -> list[int]:
  """Returns the steps of the whole checkpoints of a workdir, ascending."""
  names = [path.name for path in (workdir / 'checkpoints').glob('*')]
  return sorted(int(name) for name in names if name.isdigit())


def wait(launch: runs.Launch, seconds: float = 120):
  """Waits until a run is writing a checkpoint.

  Args:
    launch: the run.
    seconds: how long to wait.

  Raises:
    TimeoutError: the run has ended, or has begun no checkpoint in time.
  """
  deadline = time.monotonic() + seconds
  checkpoints = launch.workdir / 'checkpoints'
  while not any(checkpoints.glob('*.orbax-checkpoint-tmp*')):
    if time.monotonic() > deadline or launch.process.poll() is not None:
      raise TimeoutError(f'no checkpoint was begun in {launch.workdir}')
    time.sleep(_POLL_SECONDS)


def read(workdir: pathlib.Path, step: int) -> dict[str, bytes]:
  """Reads a checkpoint.

  Args:
    workdir: folder of the run.
    step: step of the checkpoint.

  Returns:
    The bytes of each array of the training state by its name, and those of the
    data position under 'data'.
  """
  path = workdir / 'checkpoints' / str(step)
  contents = {
      jax.tree_util.keystr(key): np.asarray(leaf).tobytes()
      for key, leaf in jax.tree_util.tree_leaves_with_path(
          read_state(path / 'state')
      )
  }
  return contents | {'data': (path / 'data' / 'metadata').read_bytes()}


def read_state(path: pathlib.Path) -> Any:
  """Returns the training state in a folder, as a tree of NumPy arrays."""
  with ocp.PyTreeCheckpointer() as checkpointer:
    tree = checkpointer.metadata(path).item_metadata.tree
    as_numpy = ocp.RestoreArgs(restore_type=np.ndarray)
    return checkpointer.restore(
        path, restore_args=jax.tree.map(lambda _: as_numpy, tree)
    )
