"""Sends the scalars of a run to Weights & Biases, from a process of its own.

A run whose config sets `wandb_project` starts this process, which reads what
the run writes to `workdir`/metrics.jsonl. So nothing that happens to Weights &
Biases, or to the network, can slow or end the run; only at its end the run
waits for this process, for at most 70 s. A restart of the run continues the
same W&B run, whose id is in `workdir`/wandb.json; steps that are done again are
sent once.

To send what is still missing, or a run of a machine without a network:

  python -m rvm_jax.training.wandb_writer WORKDIR < /dev/null

It needs the package `wandb`, of the extra of the same name.
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
import threading
from typing import Any

from absl import logging
import jax

from rvm_jax.storage import files
from rvm_jax.storage import outages
from rvm_jax.training import reporting

_STATE = 'wandb.json'
# Seconds between looks at the file of metrics.
_POLL_SECONDS = 2.0
# Seconds that the last lines may take to be sent after the end of the run.
_FINISH_SECONDS = 60.0


@contextlib.contextmanager
def send(
    workdir: str | os.PathLike[str], project: str | None, config: Mapping
) -> Iterator[None]:
  """Sends the scalars of a run while the block runs; errors are only logged.

  Args:
    workdir: folder of the run.
    project: W&B project to send to; None to send nothing.
    config: the run's config, with values that JSON can hold.
  """
  if project is None or jax.process_index():
    yield
    return
  state = {'id': secrets.token_hex(4), 'step': -1} | _read_state(workdir)
  _write_state(workdir, state | {'project': project, 'config': config})
  # When the run ends, however it does, the standard input of the new process
  # ends too, which tells it to finish. It has a session of its own, so that
  # signals to the run, such as Ctrl-C, do not reach it.
  process = subprocess.Popen(
      [sys.executable, '-m', 'rvm_jax.training.wandb_writer', workdir],
      stdin=subprocess.PIPE,
      env=os.environ | {'JAX_PLATFORMS': 'cpu'},
      start_new_session=True,
  )
  try:
    yield
  finally:
    assert process.stdin is not None
    process.stdin.close()
    try:
      process.wait(_FINISH_SECONDS + 10)
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()
    if process.returncode:
      logging.warning(
          'Weights & Biases has not got everything. To send the rest: python -m'
          ' rvm_jax.training.wandb_writer %s < /dev/null',
          workdir,
      )


def follow(workdir: str):
  """Sends new lines of the metrics until the standard input ends.

  Args:
    workdir: folder of the run, with the file that `send` has written.

  Raises:
    ModuleNotFoundError: wandb is not installed.
    Exception: any error of wandb.
  """
  import wandb

  state = _read_state(workdir)
  run = wandb.init(
      project=state['project'],
      id=state['id'],
      resume='allow',
      config=state['config'],
      dir=workdir,
      settings=wandb.Settings(console='off'),
  )
  place = run.dir if run.offline else run.url
  print(f'Weights & Biases: {place}', file=sys.stderr, flush=True)
  path, size, is_over = os.path.join(workdir, reporting.METRICS), 0, False
  while not is_over:
    is_over = bool(select.select([sys.stdin], [], [], _POLL_SECONDS)[0])
    lines, size = _read_new(path, size)
    for line in lines:
      step = line.pop('step')
      # There may be several lines of the step that was sent last.
      if step >= state['step']:
        state['step'] = step
        del line['time']
        run.log({k: x for k, x in line.items() if x is not None}, step=step)
    if lines:
      _write_state(workdir, state)
  # Without a network `finish` might never return.
  timer = threading.Timer(_FINISH_SECONDS, os._exit, [1])
  timer.daemon = True
  timer.start()
  run.finish()


def _read_new(path: str, size: int) -> tuple[list[dict[str, Any]], int]:
  """Returns the whole lines of a file after a position, and where they end.

  Args:
    path: path of the file of metrics.
    size: position up to which the file was read, in bytes.
  """
  if not os.path.exists(path):
    return [], 0
  if os.path.getsize(path) < size:
    # The run was resumed, and has removed lines of steps that it does again.
    size = 0
  with open(path, 'rb') as f:
    f.seek(size)
    new = f.read()
  whole = new[: new.rfind(b'\n') + 1]
  return [json.loads(line) for line in whole.splitlines()], size + len(whole)


def _read_state(workdir) -> dict[str, Any]:
  """Returns the id of the W&B run and the last step sent; {} if not known."""
  path = os.path.join(workdir, _STATE)
  if not os.path.exists(path):
    return {}
  with open(path) as f:
    try:
      return json.load(f)
    except ValueError:
      logging.warning('%s is not JSON: a new W&B run is made', path)
      return {}


def _write_state(workdir, state: Mapping[str, Any]):
  """Writes what `_read_state` reads."""
  path = os.path.join(workdir, _STATE)
  with outages.Outage(path):
    files.replace_text(path, json.dumps(state))


def main(workdir: str):
  """Calls `follow`; prints an error as one line and ends the process with 1.

  Args:
    workdir: folder of the run.
  """
  # wandb reads the variable when it is imported.
  os.environ['WANDB_SILENT'] = 'true'
  try:
    follow(workdir)
  finally:
    # wandb has many kinds of errors, most of them private.
    error = sys.exception()
    if error is not None:
      first, *_ = str(error).splitlines() or [type(error).__name__]
      if isinstance(error, ModuleNotFoundError) and error.name == 'wandb':
        first = "the package is missing, see the extra 'wandb' in setup.py"
      print(
          f'Weights & Biases: {first.rstrip(".")}. Nothing more is sent',
          file=sys.stderr,
          flush=True,
      )
      os._exit(1)


if __name__ == '__main__':
  main(sys.argv[1])
