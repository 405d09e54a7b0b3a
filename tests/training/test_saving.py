"""A checkpoint appears whole or not at all, in all processes alike."""

import json
import os
import pathlib
import socket
import subprocess
import sys

from etils import epath
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from rvm_jax.storage import checkpoint_files
from rvm_jax.training import saving

ROOT = pathlib.Path(__file__).parents[2]
STATE = {'params': {'a': jnp.arange(5.0)}}


def test_save_writes_what_orbax_reads_too(tmp_path):
  save = saving.Save(epath.Path(tmp_path) / '3', STATE, {'at': 3}, {'b': 1})
  assert save.finish() == ''
  with ocp.CheckpointManager(tmp_path) as manager:
    assert manager.latest_step() == 3
    found = manager.restore(
        3,
        args=ocp.args.Composite(
            state=ocp.args.StandardRestore(STATE),
            data=ocp.args.JsonRestore(),
            config=ocp.args.JsonRestore(),
        ),
    )
  np.testing.assert_array_equal(found.state['params']['a'], np.arange(5.0))
  assert found.data == {'at': 3} and found.config == {'b': 1}


def test_save_never_replaces_a_checkpoint(tmp_path):
  path = epath.Path(tmp_path) / '3'
  assert not saving.Save(path, STATE, {}, {'b': 1}).finish()
  assert 'is there already' in saving.Save(path, STATE, {}, {'b': 2}).finish()
  assert checkpoint_files.read_contents(path).config == {'b': 1}
  assert os.listdir(tmp_path) == ['3']


@pytest.mark.parametrize('part', ['async_save', 'finalize'])
@pytest.mark.parametrize(
    'error', [OSError(5, 'Input/output error'), ValueError()]
)
def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch, part, error):
  def fail(*args, **kwargs):
    raise error

  monkeypatch.setattr(ocp.StandardCheckpointHandler, part, fail)
  reason = saving.Save(epath.Path(tmp_path) / '3', STATE, {}, {}).finish()
  assert reason == (
      '[Errno 5] Input/output error' if error.args else 'ValueError'
  )
  assert not os.listdir(tmp_path)


@pytest.mark.filterwarnings(
    'ignore::pytest.PytestUnhandledThreadExceptionWarning'
)
def test_a_thread_that_dies_is_a_failed_save(tmp_path, monkeypatch):
  def fail(*args, **kwargs):
    raise KeyboardInterrupt

  monkeypatch.setattr(ocp.StandardCheckpointHandler, 'async_save', fail)
  reason = saving.Save(epath.Path(tmp_path) / '3', STATE, {}, {}).finish()
  assert reason == 'the thread that writes it has ended'
  assert not os.listdir(tmp_path)


def test_two_processes_fail_and_fall_back_together(tmp_path):
  with socket.socket() as s:
    s.bind(('localhost', 0))
    address = f'localhost:{s.getsockname()[1]}'
  module = 'tests.training.two_processes'
  processes = [
      subprocess.Popen(
          [
              sys.executable,
              '-m',
              module,
              address,
              str(i),
              str(tmp_path / 'run'),
          ],
          cwd=ROOT,
          stdout=subprocess.PIPE,
          text=True,
      )
      for i in range(2)
  ]
  try:
    outputs = [process.communicate(timeout=200)[0] for process in processes]
  finally:
    for process in processes:
      process.kill()
  assert [process.returncode for process in processes] == [0, 0]
  first, second = (json.loads(text.splitlines()[-1]) for text in outputs)
  # Process 0 writes the log.
  assert second.pop('warnings') == []
  failed, aside = first.pop('warnings')
  reason = 'process 1: [Errno 28] No space left on device'
  folder = tmp_path / 'run' / 'checkpoints'
  assert failed.startswith(f'{folder}/4 could not be saved: {reason}. ')
  assert aside.startswith(f'{folder}/6 is damaged: process 1: unreadable. ')
  assert first == second
  assert first['steps'] == [[2], [2], [2, 6]]
  assert reason in first['error'] and first['last'] == f'{folder}/6'
  assert first['restored'] == [2, {'at': 2}, True]
