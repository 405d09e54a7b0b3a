"""The command itself, in processes of its own: real checkpoints, real kills."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
from PIL import Image
import pytest
from tensorboardX.proto import event_pb2

from rvm_jax import weights
from rvm_jax.weights import trees

ROOT = pathlib.Path(__file__).parents[1]


def command(workdir, *overrides):
  return [
      sys.executable,
      '-m',
      'rvm_jax.main',
      f'--config={ROOT}/tests/tiny.py',
      f'--workdir={workdir}',
      *overrides,
  ]


@pytest.fixture(scope='session')
def environment(tmp_path_factory):
  """Compiled programs are shared by the runs: most of their time is that."""
  cache = tmp_path_factory.mktemp('compiled')
  return os.environ | {
      'JAX_PLATFORMS': 'cpu',
      'XLA_FLAGS': '--xla_force_host_platform_device_count=1',
      'JAX_COMPILATION_CACHE_DIR': str(cache),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }


@pytest.fixture
def start(environment):
  """Starts the command; whatever still runs at the end is killed."""
  processes = []

  def start_(workdir, *overrides, **more_environment):
    process = subprocess.Popen(
        command(workdir, *overrides),
        cwd=ROOT,
        env=environment | more_environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    processes.append(process)
    return process

  yield start_
  for process in processes:
    process.kill()


@pytest.fixture
def run(start):
  """Runs the command to its end; returns exit code and output."""

  def run_(workdir, *overrides, **more_environment):
    process = start(workdir, *overrides, **more_environment)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output

  return run_


@pytest.fixture(scope='session')
def whole_run(environment, tmp_path_factory):
  """An uninterrupted run: its workdir and output."""
  workdir = tmp_path_factory.mktemp('whole')
  done = subprocess.run(
      command(workdir),
      cwd=ROOT,
      env=environment,
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.returncode == 0, done.stderr
  return workdir, done.stderr


def checkpoint(workdir, step):
  """State as numpy arrays by path, and the position in the data."""
  path = workdir / 'checkpoints' / str(step)
  with ocp.PyTreeCheckpointer() as checkpointer:
    shapes = checkpointer.metadata(path / 'state').item_metadata.tree
    state = checkpointer.restore(
        path / 'state',
        restore_args=jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes
        ),
    )
  data = (path / 'data' / 'metadata').read_text()
  return {
      jax.tree_util.keystr(key): np.asarray(leaf)
      for key, leaf in jax.tree_util.tree_leaves_with_path(state)
  }, data


def assert_same_end(workdir, other):
  state, data = checkpoint(workdir, 6)
  expected, expected_data = checkpoint(other, 6)
  assert data == expected_data
  assert state.keys() == expected.keys()
  for key, array in expected.items():
    assert state[key].tobytes() == array.tobytes(), key


def wait_for(process, condition, what):
  deadline = time.monotonic() + 200
  while not condition():
    assert process.poll() is None, process.communicate()[0]
    assert time.monotonic() < deadline, f'no {what}'
    time.sleep(0.01)


def test_a_run_leaves_what_it_says(whole_run):
  workdir, output = whole_run
  kept = sorted(path.name for path in (workdir / 'checkpoints').iterdir())
  assert kept == ['4', '6']
  assert 'step 6/6' in output and 'waiting for data' in output
  assert 'tokenizer/patch_embedding/Conv_0/kernel' in output
  assert 'learning_rate: 0.001' in output
  assert 'orbax' not in output
  with Image.open(
      workdir / 'pictures' / 'reconstruction_clips_0000006.png'
  ) as picture:
    assert np.asarray(picture).std() > 10

  (path,) = workdir.glob('events.out.tfevents.*')
  scalars = {}
  for record in _records(path):
    event = event_pb2.Event.FromString(record)
    for value in event.summary.value:
      scalars.setdefault(value.tag, {})[event.step] = value.simple_value
  assert sorted(scalars['train/loss']) == [2, 4, 6]
  assert sorted(scalars['eval/reconstruction/loss']) == [0, 6]
  assert scalars['train/clips_seen'] == {2: 8, 4: 16, 6: 24}
  assert all(v >= 0 for v in scalars['train/data_wait'].values())


def test_what_a_run_learned_can_be_loaded_and_judged(
    whole_run, environment
):
  workdir, _ = whole_run
  config, model, params = weights.load_run(workdir)
  assert config['data']['batch_size'] == 4 and model.width == 16
  state, _ = checkpoint(workdir, 6)
  flat = trees.flatten(params)
  assert len(flat) == sum("['params']" in key for key in state)
  for key, array in flat.items():
    path = "['params']" + ''.join(f"['{part}']" for part in key.split('/'))
    np.testing.assert_array_equal(array, state[path], err_msg=key)

  done = subprocess.run(
      [
          sys.executable,
          '-m',
          'rvm_jax.evals.demo',
          f'--workdir={workdir}',
          '--size=32',
      ],
      cwd=ROOT,
      env=environment,
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.returncode == 0, done.stderr
  for row in ('raw pixels', 'untrained', 'trained'):
    assert f'\n{row} ' in done.stdout
  assert (workdir / 'pictures' / 'masks_0.png').exists()


def test_loading_needs_a_checkpoint(tmp_path):
  with pytest.raises(FileNotFoundError, match='has no checkpoint of a run'):
    weights.load_run(tmp_path)


def _records(path):
  data = path.read_bytes()
  while data:
    size = int.from_bytes(data[:8], 'little')
    yield data[12 : 12 + size]
    data = data[16 + size :]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_killed_and_resumed_equals_uninterrupted(
    whole_run, start, run, tmp_path, num_workers
):
  workers = f'--config.data.num_workers={num_workers}'
  process = start(tmp_path, workers)
  wait_for(process, (tmp_path / 'checkpoints' / '2').exists, 'checkpoint')
  process.send_signal(signal.SIGKILL)
  process.communicate()
  assert not (tmp_path / 'checkpoints' / '6').exists()
  code, output = run(tmp_path, workers)
  assert code == 0, output
  assert 'Resumed from' in output
  assert_same_end(tmp_path, whole_run[0])


def test_sigterm_saves_and_exits_with_its_code(start, run, tmp_path):
  # Too many steps to end by itself, and no checkpoint due but the one on stop.
  # The signal goes to the workers too, as from a cluster's scheduler.
  settings = (
      '--config.num_steps=100000',
      '--config.checkpoint.save_every=100000',
      '--config.data.num_workers=2',
  )
  process = start(tmp_path, *settings)
  wait_for(process, lambda: 'step 2/' in process.stdout.readline(), 'progress')
  os.killpg(process.pid, signal.SIGTERM)
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 75, output
  (saved,) = (tmp_path / 'checkpoints').iterdir()
  assert f'stopped at step {saved.name}, all saved' in output
  assert 'run the same command to go on' in output

  # Going on for no step gives back what was saved.
  before = checkpoint(tmp_path, saved.name)
  code, output = run(tmp_path, f'--config.num_steps={saved.name}')
  assert code == 0 and f'checkpoints/{saved.name}' in output, output
  np.testing.assert_equal(checkpoint(tmp_path, saved.name), before)
  code, output = run(tmp_path)
  assert code == 1
  assert f'num_steps=6 must be at least the {saved.name} steps' in output


def rewind(whole_run, workdir):
  """A copy of the run, as it was after step 4."""
  shutil.copytree(whole_run[0], workdir, dirs_exist_ok=True)
  shutil.rmtree(workdir / 'checkpoints' / '6')


def assert_params_close(workdir, other, atol):
  state, _ = checkpoint(workdir, 6)
  expected, _ = checkpoint(other, 6)
  for key in expected:
    if "['params']" in key:
      np.testing.assert_allclose(
          state[key], expected[key], rtol=0, atol=atol, err_msg=key
      )


def test_goes_on_with_split_parameters(whole_run, run, tmp_path):
  rewind(whole_run, tmp_path)
  code, output = run(
      tmp_path,
      '--config.fsdp=2',
      XLA_FLAGS='--xla_force_host_platform_device_count=2',
  )
  assert code == 0 and 'checkpoints/4' in output, output
  # A start from other parameters, masks or data would be 4e-4 away.
  assert_params_close(tmp_path, whole_run[0], atol=5e-5)


def test_goes_on_in_two_processes(whole_run, start, tmp_path):
  rewind(whole_run, tmp_path)
  with socket.socket() as s:
    s.bind(('localhost', 0))
    address = f'localhost:{s.getsockname()[1]}'
  processes = [
      start(
          tmp_path,
          '--config.fsdp=4',  # Over both processes.
          '--config.num_steps=8',
          f'--coordinator={address}',
          '--num_processes=2',
          f'--process_id={i}',
          XLA_FLAGS='--xla_force_host_platform_device_count=2',
          JAX_CPU_COLLECTIVES_IMPLEMENTATION='gloo',
      )
      for i in range(2)
  ]
  outputs = [process.communicate(timeout=300)[0] for process in processes]
  assert [process.returncode for process in processes] == [0, 0], outputs
  assert 'step 8/8' in outputs[0] and 'step 8/8' not in outputs[1]
  # The clips are those of one process, in another order in the batch.
  assert '"clips_seen":32' in checkpoint(tmp_path, 8)[1].replace(' ', '')


def test_workdir_of_another_model_is_refused(whole_run, run):
  code, output = run(whole_run[0], '--config.model.width=32')
  assert code == 1
  assert 'was written by another model' in output
  assert 'config.model.width: saved 16, now 32' in output
  assert 'another --workdir' in output


def test_loss_that_is_not_finite_stops_the_run(run, tmp_path):
  code, output = run(
      tmp_path,
      '--config.optimizer.learning_rate=1e30',
      '--config.num_steps=20',
      '--config.checkpoint.save_every=1',
      '--config.checkpoint.keep_last=50',
  )
  assert code == 1
  assert 'NonFiniteError: step ' in output
  assert 'Last good checkpoint: ' in output and 'scene ' in output
  for path in (tmp_path / 'checkpoints').iterdir():
    state, _ = checkpoint(tmp_path, int(path.name))
    assert all(np.isfinite(x).all() for x in state.values()), path


@pytest.mark.parametrize(
    'overrides, message',
    [
        (['--config.data.batch_sise=4'], 'batch_sise'),
        (['--config.data.width=36'], 'config.data.width=36 must be a multiple'),
        (["--config.data.sources=('/no/such/place',)"], '/no/such/place'),
    ],
)
def test_wrong_settings_say_what_is_wrong(run, tmp_path, overrides, message):
  code, output = run(tmp_path, *overrides)
  assert code != 0
  assert message in output
