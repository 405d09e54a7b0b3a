"""Checkpoints are restored as they were saved, if the config still fits."""

import contextlib
import os
import pathlib
import socket
import subprocess

from etils import epath
import jax
import numpy as np
import pytest

from rvm_jax.runtime import errors
from rvm_jax.runtime import exit_codes
from rvm_jax.training import checkpoints
from rvm_jax.weights import runs
from tests.training import states
from tests.weights import scratch


@pytest.mark.parametrize('num_devices', [1, 2])
def test_restore_returns_the_newest_on_any_devices_and_old_ones_are_deleted(
    open_run, saved, tmp_path, num_devices
):
  state, data = open_run().restore(states.shapes(num_devices), states.CONFIG)
  expected = states.make_state(8)
  assert len(state.params['kernel'].devices()) == num_devices
  np.testing.assert_array_equal(
      state.params['kernel'], expected.params['kernel']
  )
  assert int(state.step) == 8 and state.rng == expected.rng
  assert data == {'at': 80}
  assert saved.last_saved() == f'{tmp_path}/checkpoints/8'
  saved.close()
  kept = sorted(path.name for path in (tmp_path / 'checkpoints').iterdir())
  assert kept == ['4', '6', '8']


def test_restore_from_a_new_workdir_returns_none(open_run):
  run = open_run()
  run.wait()
  assert run.restore(states.shapes(), states.CONFIG) is None
  assert run.last_saved() == 'none'


def test_start_refuses_init_from_before_a_state_is_made(open_run, tmp_path):
  np.savez(tmp_path / 'other.npz', kernel=np.zeros(3, np.float32))
  rvm = pathlib.Path(__file__).parents[1] / 'golden' / 'rvm_tiny_params.npz'
  config = {'model': {'content_first': True}}
  for name, kind, message in (
      ('gone.npz', FileNotFoundError, 'gone.npz'),
      ('other.npz', ValueError, 'other.npz is not an RVM checkpoint'),
      (rvm, ValueError, 'content_first=True must be False'),
  ):
    run = open_run(init_from=str(tmp_path / name))
    with pytest.raises(kind, match=message):
      run.start(states.shapes(), None, config)


def test_save_keeps_the_state_of_the_call_when_its_memory_is_reused(
    open_run, tmp_path
):
  run, state = open_run(), states.make_state(2)
  run.save(2, state, {}, states.CONFIG)
  # The next step donates the state, and its result takes the state's memory.
  add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
  jax.block_until_ready(add(state.params))
  run.wait()
  assert (tmp_path / 'checkpoints' / '2').exists()
  state, _ = open_run().restore(states.shapes(), states.CONFIG)
  np.testing.assert_array_equal(
      state.params['kernel'], states.make_state(2).params['kernel']
  )


def test_restore_refuses_another_model(open_run, saved, tmp_path):
  config = states.CONFIG | {'model': {'width': 32, 'remat': 'none'}}
  with pytest.raises(ValueError) as error:
    open_run().restore(states.shapes(), config)
  assert str(error.value) == (
      f'{tmp_path}/checkpoints/8 was written with other settings:\n'
      '  config.model.width: saved 16, now 32\n'
      'Go on with its config, or start in another --workdir'
  )


def test_restore_refuses_fewer_steps_than_are_done(open_run, saved):
  with pytest.raises(ValueError, match='num_steps=7 must be at least the 8'):
    open_run().restore(states.shapes(), states.CONFIG | {'num_steps': 7})
  assert open_run().restore(states.shapes(), states.CONFIG | {'num_steps': 8})


def test_restore_logs_changes_that_do_not_decide_what_is_trained(
    open_run, saved, warnings
):
  config = states.CONFIG | {
      'num_steps': 10,
      'model': {'width': 16, 'remat': 'full'},
  }
  assert open_run().restore(states.shapes(), config)
  assert warnings == [
      (
          'Resuming with a changed config: config.model.remat: saved'
          " 'none', now 'full'"
      ),
      'Resuming with a changed config: config.num_steps: saved 9, now 10',
  ]


def test_restore_logs_keys_that_one_config_lacks(open_run, saved, warnings):
  config = {key: states.CONFIG[key] for key in ('num_steps', 'model')} | {
      'fsdp': None
  }
  assert open_run().restore(states.shapes(), config)
  assert warnings == [
      (
          'Resuming with a changed config: config.data.sources: saved'
          " ['scenes'], now no such key"
      ),
      (
          'Resuming with a changed config: config.fsdp: saved no such key, now'
          ' None'
      ),
  ]


def test_restore_takes_a_config_without_objective_for_one_of_rvm(
    open_run, saved, warnings
):
  assert 'objective' not in states.CONFIG
  assert open_run().restore(
      states.shapes(), states.CONFIG | {'objective': 'rvm'}
  )
  assert not warnings
  with pytest.raises(ValueError, match="objective: saved 'rvm', now 'other'"):
    open_run().restore(states.shapes(), states.CONFIG | {'objective': 'other'})


def test_a_full_disk_costs_a_warning_and_the_next_save_works(
    open_run, saved, tmp_path, warnings
):
  with scratch.full_disk(100_000):
    saved.save(10, states.make_state(10), {'at': 100}, states.CONFIG)
    saved.wait()
  (line,) = warnings
  assert line.startswith(f'{tmp_path}/checkpoints/10 could not be saved: ')
  assert 'File too large' in line and '\n' not in line
  assert line.endswith(
      'The run goes on, and will try to save the next one. Newest checkpoint:'
      f' {tmp_path}/checkpoints/8'
  )
  assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['4', '6', '8']
  with pytest.raises(checkpoints.SaveError, match='/10 could not') as caught:
    saved.finish(is_last=True)
  assert errors.choose_code(caught.value) == exit_codes.ERROR
  with pytest.raises(checkpoints.SaveError) as caught:
    saved.finish(is_last=False)
  assert errors.choose_code(caught.value) == exit_codes.RESTART
  assert saved.last_saved() == f'{tmp_path}/checkpoints/8'

  saved.save(12, states.make_state(12), {'at': 120}, states.CONFIG)
  saved.finish(is_last=True)
  saved.close()
  assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['12', '4', '8']
  assert len(warnings) == 1


@pytest.fixture
def small_disk(tmp_path):
  """A file system of 2 MB; needs the right to mount."""
  path = tmp_path / 'disk'
  path.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', str(path)]
  try:
    done = subprocess.run(mount, capture_output=True, check=False)
  except FileNotFoundError:
    pytest.skip('no mount')
  if done.returncode:
    pytest.skip('mounting is not permitted')
  yield path
  subprocess.run(['umount', str(path)], check=True)


def test_save_works_again_when_a_full_disk_has_room(
    open_run, small_disk, warnings
):
  run = open_run(workdir=small_disk)
  junk = small_disk / 'junk'
  for step in (2, 4, 6, 8):
    if step == 4:
      with contextlib.suppress(OSError):
        junk.write_bytes(bytes(2_000_000))
    if step == 8:
      junk.unlink()
    run.save(step, states.make_state(step), {'at': 10 * step}, states.CONFIG)
    run.wait()
  run.close()
  assert len(warnings) == 2
  assert all('No space left on device' in line for line in warnings)
  assert sorted(os.listdir(small_disk / 'checkpoints')) == ['2', '8']
  states.assert_restores(open_run(workdir=small_disk), 8)
  run.close()


@pytest.fixture
def bucket(monkeypatch):
  """URL of a folder in a bucket of a server on this machine."""
  pytest.importorskip('gcsfs')
  server = pytest.importorskip('gcp_storage_emulator.server')
  with socket.socket() as s:
    s.bind(('localhost', 0))
    port = s.getsockname()[1]
  for name in ('STORAGE_EMULATOR_HOST', 'TENSORSTORE_GCS_HTTP_URL'):
    monkeypatch.setenv(name, f'http://localhost:{port}')
  monkeypatch.setenv('GOOGLE_AUTH_TOKEN_FOR_TESTING', 'any')
  running = server.create_server(
      'localhost', port, in_memory=True, default_bucket='tests'
  )
  running.start()
  yield 'gs://tests/run'
  running.stop()


def test_bucket_holds_checkpoints_as_a_workdir_does(
    open_run, bucket, tmp_path, warnings
):
  run = open_run(bucket=bucket)
  for step in (2, 6, 8):
    run.save(step, states.make_state(step), {'at': 10 * step}, states.CONFIG)
    run.wait()
  run.close()
  folder = epath.Path(bucket) / 'checkpoints'
  assert sorted(path.name for path in folder.iterdir()) == ['6', '8']
  assert runs.find_checkpoint(bucket) == f'{bucket}/checkpoints/8'
  # A folder without digests is unfinished: a killed run has left it.
  (folder / '9' / 'state' / 'manifest.ocdbt').write_text('half')
  (folder / '8' / 'state' / 'manifest.ocdbt').write_text('damaged')
  run = open_run(bucket=bucket)
  assert run.last_saved() == f'{bucket}/checkpoints/6'
  states.assert_restores(run, 6)
  assert len(warnings) == 1
  assert sorted(path.name for path in folder.iterdir()) == ['6']
  aside = epath.Path(bucket) / 'damaged_checkpoints'
  assert sorted(path.name for path in aside.iterdir()) == ['8', '8.txt']
  assert not (tmp_path / 'checkpoints').exists()


def test_bucket_that_is_not_on_gs_is_refused(open_run):
  with pytest.raises(ValueError, match='s3://b/run must be a local path or'):
    open_run(bucket='s3://b/run')
