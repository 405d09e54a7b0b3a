"""Checkpoints are restored as they were saved, and only by the same run."""

import contextlib
import os
import random
import shutil
import socket
import subprocess

from etils import epath
import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
import numpy as np
import pytest

from rvm_jax.runtime import errors
from rvm_jax.runtime import exit_codes
from rvm_jax.training import checkpoints
from rvm_jax.training import step as step_lib
from rvm_jax.weights import runs
from tests.weights import scratch

CONFIG = {
    'num_steps': 9,
    'model': {'width': 16, 'remat': 'none'},
    'data': {'sources': ('scenes',)},
}


def make_state(step):
  return step_lib.TrainState(
      step=jnp.asarray(step, jnp.int32),
      params={'kernel': step + jnp.arange(120_000.0).reshape(300, 400)},
      opt_state=(),
      rng=jax.random.key(step),
  )


def shapes(num_devices=1):
  """The shapes of a state whose kernel is split over the devices."""
  mesh = jax.make_mesh((num_devices,), ('fsdp',))

  def shape(x):
    spec = PartitionSpec(*(['fsdp'] if x.ndim else []))
    sharding = NamedSharding(mesh, spec)
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

  return jax.tree.map(shape, make_state(0))


@pytest.fixture
def open_run(tmp_path):
  """Opens the same workdir each time; all are closed at the end."""
  opened = []

  def open_(init_from=None, verify=True, workdir=tmp_path, bucket=None):
    opened.append(
        checkpoints.Checkpoints(
            workdir,
            save_every=2,
            keep_last=2,
            keep_every=4,
            verify=verify,
            bucket=bucket,
            init_from=init_from,
            fresh_decoder=False,
        )
    )
    return opened[-1]

  yield open_
  for run in opened:
    run.close()


@pytest.fixture
def saved(open_run):
  run = open_run()
  for step in (2, 4, 6, 8):
    assert run.is_due(step) and not run.is_due(step + 1)
    run.save(step, make_state(step), {'at': 10 * step}, CONFIG)
    run.wait()
  return run


@pytest.mark.parametrize('num_devices', [1, 2])
def test_restore_returns_the_newest_on_any_devices_and_old_ones_are_deleted(
    open_run, saved, tmp_path, num_devices
):
  state, data = open_run().restore(shapes(num_devices), CONFIG)
  expected = make_state(8)
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
  assert run.restore(shapes(), CONFIG) is None
  assert run.last_saved() == 'none'


def test_start_refuses_init_from_before_a_state_is_made(open_run, tmp_path):
  np.savez(tmp_path / 'other.npz', kernel=np.zeros(3, np.float32))
  for name, kind, message in (
      ('gone.npz', FileNotFoundError, 'gone.npz'),
      ('other.npz', ValueError, 'other.npz is not an RVM checkpoint'),
  ):
    run = open_run(init_from=str(tmp_path / name))
    with pytest.raises(kind, match=message):
      run.start(shapes(), init=None)


def test_save_keeps_the_state_of_the_call_when_its_memory_is_reused(
    open_run, tmp_path
):
  run, state = open_run(), make_state(2)
  run.save(2, state, {}, CONFIG)
  # The next step donates the state, and its result takes the state's memory.
  add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
  jax.block_until_ready(add(state.params))
  run.wait()
  assert (tmp_path / 'checkpoints' / '2').exists()
  state, _ = open_run().restore(shapes(), CONFIG)
  np.testing.assert_array_equal(
      state.params['kernel'], make_state(2).params['kernel']
  )


def test_restore_refuses_another_model(open_run, saved, tmp_path):
  config = CONFIG | {'model': {'width': 32, 'remat': 'none'}}
  with pytest.raises(ValueError) as error:
    open_run().restore(shapes(), config)
  assert str(error.value) == (
      f'{tmp_path}/checkpoints/8 was written with other settings:\n'
      '  config.model.width: saved 16, now 32\n'
      'Go on with its config, or start in another --workdir'
  )


def test_restore_refuses_fewer_steps_than_are_done(open_run, saved):
  with pytest.raises(ValueError, match='num_steps=7 must be at least the 8'):
    open_run().restore(shapes(), CONFIG | {'num_steps': 7})
  assert open_run().restore(shapes(), CONFIG | {'num_steps': 8})


def test_restore_logs_changes_that_do_not_decide_what_is_trained(
    open_run, saved, warnings
):
  config = CONFIG | {'num_steps': 10, 'model': {'width': 16, 'remat': 'full'}}
  assert open_run().restore(shapes(), config)
  assert warnings == [
      (
          'Resuming with a changed config: config.model.remat: saved'
          " 'none', now 'full'"
      ),
      'Resuming with a changed config: config.num_steps: saved 9, now 10',
  ]


def test_restore_logs_keys_that_one_config_lacks(open_run, saved, warnings):
  config = {key: CONFIG[key] for key in ('num_steps', 'model')} | {'fsdp': None}
  assert open_run().restore(shapes(), config)
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
  assert 'objective' not in CONFIG
  assert open_run().restore(shapes(), CONFIG | {'objective': 'rvm'})
  assert not warnings
  with pytest.raises(ValueError, match="objective: saved 'rvm', now 'other'"):
    open_run().restore(shapes(), CONFIG | {'objective': 'other'})


def assert_restores(run, step):
  """Asserts that the state of a step comes back with every bit."""
  state, data = run.restore(shapes(), CONFIG)
  expected = make_state(step)
  np.testing.assert_array_equal(
      state.params['kernel'], expected.params['kernel']
  )
  assert int(state.step) == step and state.rng == expected.rng
  assert data == {'at': 10 * step}


def truncate(checkpoint):
  for path in checkpoint.rglob('d/*'):
    os.truncate(path, path.stat().st_size // 2)


def empty(checkpoint):
  shutil.rmtree(checkpoint)
  checkpoint.mkdir()


def exchange(checkpoint):
  """Replaces the arrays by those of another step: all can be read."""
  shutil.rmtree(checkpoint / 'state')
  shutil.copytree(checkpoint.parent / '4' / 'state', checkpoint / 'state')


@pytest.mark.parametrize(
    'harm, reason',
    [
        (truncate, 'OUT_OF_RANGE'),
        (empty, 'No such file'),
        (exchange, 'params/kernel, rng, step changed since it was saved'),
        (lambda path: shutil.rmtree(path / 'state'), 'not exist'),
        (lambda path: shutil.rmtree(path / 'data'), 'have changed'),
        (lambda path: (path / 'config' / 'metadata').unlink(), 'No such file'),
        (lambda path: (path / 'config' / 'metadata').write_text('{'), 'JSON'),
    ],
    ids=['truncated', 'empty', 'exchanged', 'state', 'data', 'config', 'json'],
)
def test_restore_moves_a_damaged_checkpoint_aside_and_takes_the_one_before(
    open_run, saved, tmp_path, warnings, harm, reason
):
  saved.close()
  harm(tmp_path / 'checkpoints' / '8')
  assert_restores(open_run(), 6)
  (line,) = warnings
  assert line.startswith(f'{tmp_path}/checkpoints/8 is damaged: ')
  assert reason in line and '\n' not in line and len(line) < 600
  assert line.endswith(
      f' It was moved to {tmp_path}/damaged_checkpoints/8; the run resumes from'
      ' the checkpoint before it'
  )
  assert (tmp_path / 'damaged_checkpoints' / '8').is_dir()
  assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['4', '6']


def test_restore_notices_whatever_byte_of_a_checkpoint_is_changed(
    open_run, tmp_path, warnings
):
  run = open_run(workdir=tmp_path / 'whole')
  for step in (2, 4):
    run.save(step, make_state(step), {'at': 10 * step}, CONFIG)
    run.wait()
  run.close()
  folder = tmp_path / 'whole' / 'checkpoints' / '4'
  names = [p.relative_to(folder) for p in folder.rglob('*') if p.is_file()]
  assert len(names) > 8
  rng = random.Random(0)
  steps = []
  for number, name in enumerate(sorted(names)):
    workdir = tmp_path / str(number)
    shutil.copytree(tmp_path / 'whole', workdir)
    path = workdir / 'checkpoints' / '4' / name
    contents = bytearray(path.read_bytes())
    for place in rng.choices(range(len(contents)), k=32):
      contents[place] ^= rng.randrange(1, 256)
    path.write_bytes(contents)
    state, data = open_run(workdir=workdir).restore(shapes(), CONFIG)
    step = int(state.step)
    # Some of the files are not needed once the checkpoint is whole.
    assert step in (2, 4) and data == {'at': 10 * step}
    expected = make_state(step)
    np.testing.assert_array_equal(
        state.params['kernel'], expected.params['kernel']
    )
    assert state.rng == expected.rng
    steps.append(step)
  assert steps.count(2) >= 7
  assert len(warnings) == steps.count(2)


def test_restore_never_replaces_what_was_moved_aside(
    open_run, saved, tmp_path, warnings
):
  for step in (8, 8, 8):
    exchange(tmp_path / 'checkpoints' / str(step))
    run = open_run()
    assert_restores(run, 6)
    run.save(8, make_state(8), {'at': 80}, CONFIG)
    run.close()
  assert sorted(os.listdir(tmp_path / 'damaged_checkpoints')) == [
      '8',
      '8_1',
      '8_2',
  ]
  assert len(warnings) == 3


def test_restore_raises_if_no_checkpoint_is_good_and_does_so_again(
    open_run, saved, tmp_path, warnings
):
  saved.close()
  for step in (4, 6, 8):
    empty(tmp_path / 'checkpoints' / str(step))
  for _ in range(2):
    with pytest.raises(ValueError) as error:
      open_run().restore(shapes(), CONFIG)
    assert str(error.value) == (
        f'{tmp_path}/checkpoints has no good checkpoint, and'
        f' {tmp_path}/damaged_checkpoints has damaged ones. To start from'
        ' scratch, remove that folder or use another --workdir'
    )
  assert len(warnings) == 3
  assert open_run().last_saved() == 'none'


def test_restore_refuses_another_state_without_calling_it_damaged(
    open_run, saved, tmp_path, warnings
):
  other = shapes().replace(
      params={'kernel': jax.ShapeDtypeStruct((2,), 'float32')}
  )
  with pytest.raises(ValueError) as error:
    open_run().restore(other, CONFIG)
  assert str(error.value) == (
      f'{tmp_path}/checkpoints/8 holds another state than this run has:\n'
      "  params/kernel: saved 'float32[300, 400]', now 'float32[2]'\n"
      'Go on with its config, or start in another --workdir'
  )
  assert not warnings and not (tmp_path / 'damaged_checkpoints').exists()


def test_restore_takes_checkpoints_without_digests_with_a_warning(
    open_run, saved, tmp_path, warnings
):
  saved.close()
  shutil.rmtree(tmp_path / 'checkpoints' / '8' / 'digests')
  assert_restores(open_run(), 8)
  assert warnings == [
      (
          f'{tmp_path}/checkpoints/8 has no digests to verify it with: an'
          ' earlier version saved it'
      )
  ]


@pytest.mark.parametrize('verify', [True, False])
def test_restore_never_takes_parameters_that_are_not_finite(
    open_run, saved, tmp_path, warnings, verify
):
  state = make_state(9)
  kernel = state.params['kernel'].at[3, 4].set(jnp.inf)
  saved.save(9, state.replace(params={'kernel': kernel}), {'at': 90}, CONFIG)
  saved.close()
  assert_restores(open_run(verify=verify), 8)
  assert (
      '/9 is damaged: parameters are not finite (number of elements):'
      ' params/kernel (1). It was moved'
  ) in warnings[0]


def test_restore_without_verify_does_not_compare_digests(
    open_run, saved, tmp_path, warnings
):
  saved.close()
  exchange(tmp_path / 'checkpoints' / '8')
  state, data = open_run(verify=False).restore(shapes(), CONFIG)
  assert int(state.step) == 4 and data == {'at': 80}
  assert not warnings


def test_last_saved_names_a_checkpoint_that_was_read_back(
    open_run, saved, tmp_path
):
  exchange(tmp_path / 'checkpoints' / '8')
  assert saved.last_saved() == f'{tmp_path}/checkpoints/6'
  # It only looks: the next start says what is damaged.
  assert not (tmp_path / 'damaged_checkpoints').exists()


def test_what_a_killed_run_left_is_removed(open_run, saved, tmp_path):
  saved.close()
  left = tmp_path / 'checkpoints' / '9.orbax-checkpoint-tmp'
  left.mkdir()
  (left / 'state').write_text('half')
  assert_restores(open_run(), 8)
  assert sorted(os.listdir(tmp_path / 'checkpoints')) == ['4', '6', '8']


def test_a_full_disk_costs_a_warning_and_the_next_save_works(
    open_run, saved, tmp_path, warnings
):
  with scratch.full_disk(100_000):
    saved.save(10, make_state(10), {'at': 100}, CONFIG)
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

  saved.save(12, make_state(12), {'at': 120}, CONFIG)
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


def test_a_disk_that_fills_up_and_has_room_again(
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
    run.save(step, make_state(step), {'at': 10 * step}, CONFIG)
    run.wait()
  run.close()
  assert len(warnings) == 2
  assert all('No space left on device' in line for line in warnings)
  assert sorted(os.listdir(small_disk / 'checkpoints')) == ['2', '8']
  assert_restores(open_run(workdir=small_disk), 8)
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


def test_checkpoints_on_a_bucket(open_run, bucket, tmp_path, warnings):
  run = open_run(bucket=bucket)
  for step in (2, 6, 8):
    run.save(step, make_state(step), {'at': 10 * step}, CONFIG)
    run.wait()
  run.close()
  folder = epath.Path(bucket) / 'checkpoints'
  assert sorted(path.name for path in folder.iterdir()) == ['6', '8']
  assert runs.find_checkpoint(bucket) == f'{bucket}/checkpoints/8'
  # What has no digests is the rest of a run that was killed.
  (folder / '9' / 'state' / 'manifest.ocdbt').write_text('half')
  (folder / '8' / 'state' / 'manifest.ocdbt').write_text('damaged')
  run = open_run(bucket=bucket)
  assert run.last_saved() == f'{bucket}/checkpoints/6'
  assert_restores(run, 6)
  assert len(warnings) == 1
  assert sorted(path.name for path in folder.iterdir()) == ['6']
  aside = epath.Path(bucket) / 'damaged_checkpoints'
  assert sorted(path.name for path in aside.iterdir()) == ['8', '8.txt']
  assert not (tmp_path / 'checkpoints').exists()


def test_other_buckets_are_refused(open_run):
  with pytest.raises(ValueError, match='s3://b/run must be a local path or'):
    open_run(bucket='s3://b/run')
