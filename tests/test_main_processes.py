"""The command `rvm_jax.main` in several processes, as parts of one run."""

import json
import shutil
import signal
import socket

import numpy as np
import pytest

from tests import commands
from tests import run_checkpoints

# No scenes, because their evaluation takes most of the time of such a run.
SETTINGS = ('--config.num_eval_scenes=0', '--config.log_every=1')
ENDLESS = (
    *SETTINGS,
    '--config.num_steps=100000',
    '--config.eval_every=100000',
    '--config.checkpoint.save_every=100000',
)


@pytest.fixture
def start_run(start):
  """Returns a function that starts all processes of a run."""

  def start_(workdir, *overrides, processes, devices, each=lambda i: ()):
    with socket.socket() as s:
      s.bind(('localhost', 0))
      address = f'localhost:{s.getsockname()[1]}'
    parts = [f'--coordinator={address}', f'--num_processes={processes}']
    return [
        start(
            workdir,
            *overrides,
            *(parts if processes > 1 else []),
            *([f'--process_id={i}'] if processes > 1 else []),
            *each(i),
            XLA_FLAGS=commands.XLA_FLAGS + str(devices),
            JAX_CPU_COLLECTIVES_IMPLEMENTATION='gloo',
        )
        for i in range(processes)
    ]

  return start_


def finish(started):
  """Waits for processes; returns their exit codes and outputs."""
  outputs = [process.communicate(timeout=300)[0] for process in started]
  return [process.returncode for process in started], outputs


def last_lines(output, count=1):
  """Returns the last lines, without those that gloo prints at any time."""
  lines = output.splitlines()
  return [line for line in lines if not line.startswith('[Gloo]')][-count:]


def losses(workdir):
  """Returns the loss of each step."""
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  events = [json.loads(line) for line in lines]
  return {x['step']: x['train/loss'] for x in events if 'train/loss' in x}


def assert_same_numbers(workdir, expected):
  """Asserts that two runs of 10 steps have the same losses and parameters."""
  np.testing.assert_allclose(
      list(losses(workdir).values()), list(losses(expected).values()), rtol=1e-6
  )
  assert list(losses(workdir)) == list(losses(expected))
  state, data = run_checkpoints.read(workdir, 10)
  other, other_data = run_checkpoints.read(expected, 10)
  # The position in the data, and the clips that were seen.
  assert data == other_data
  assert state.keys() == other.keys()
  keys = [key for key in state if "['params']" in key[:20]]
  assert len(keys) > 20
  difference = sum(np.sum((state[key] - other[key]) ** 2) for key in keys)
  norm = sum(np.sum(other[key] ** 2) for key in keys)
  assert np.sqrt(difference / norm) < 1e-6


def keep(workdir, step):
  """Removes the checkpoints after `step`, as if the run was killed there."""
  for path in (workdir / 'checkpoints').iterdir():
    if path.name.isdigit() and int(path.name) > step:
      shutil.rmtree(path)


def test_numbers_do_not_depend_on_the_number_of_processes(start_run, tmp_path):
  settings = (
      *SETTINGS,
      '--config.num_steps=10',
      '--config.eval_every=10',
      '--config.data.batch_size=8',
      '--config.checkpoint.save_every=4',
      '--config.checkpoint.keep_last=9',
  )
  one, two = tmp_path / 'one', tmp_path / 'two'
  codes, outputs = finish(
      start_run(one, *settings, '--config.fsdp=2', processes=1, devices=8)
  )
  assert codes == [0], outputs
  codes, outputs = finish(
      start_run(two, *settings, '--config.fsdp=2', processes=2, devices=4)
  )
  assert codes == [0, 0], outputs
  assert_same_numbers(two, one)

  # The run is resumed with other numbers of processes and devices.
  for step, processes, devices in (4, 1, 2), (8, 2, 1):
    keep(two, step)
    codes, outputs = finish(
        start_run(two, *settings, processes=processes, devices=devices)
    )
    assert codes == [0] * processes, outputs
    assert f'Resumed from {two}/checkpoints/{step}' in outputs[0]
    assert_same_numbers(two, one)


@pytest.mark.parametrize('killed', [0, 1])
def test_killed_process_ends_the_other_in_one_line(start_run, tmp_path, killed):
  started = start_run(tmp_path, *ENDLESS, processes=2, devices=1)
  commands.wait_for(started[0], 'step 2/')
  started[killed].send_signal(signal.SIGKILL)
  # The other process ends within milliseconds. The bound of 20 s has slack for
  # a busy machine.
  output, _ = started[1 - killed].communicate(timeout=20)
  assert started[1 - killed].returncode == 76, output
  (line,) = last_lines(output)
  assert line.startswith(f'process {killed} (host {socket.gethostname()}, pid ')
  assert line.endswith(') is lost: its connection was closed')
  assert 'coordination' not in output and 'Traceback' not in output


def test_process_that_is_suspended_makes_the_others_hang(start_run, tmp_path):
  started = start_run(
      tmp_path,
      *ENDLESS,
      '--config.max_step_seconds=6',
      processes=2,
      devices=1,
  )
  commands.wait_for(started[0], 'step 2/')
  started[1].send_signal(signal.SIGSTOP)
  output, _ = started[0].communicate(timeout=60)
  assert started[0].returncode == 76, output
  (line,) = last_lines(output)
  assert line.startswith(f'process 0 (host {socket.gethostname()}, pid ')
  assert ') hangs after step ' in line and 'next step not done after' in line
  (path,) = (tmp_path / 'hangs').iterdir()
  assert str(path) in line
  # The stacks are in the log and in the file.
  for text in output, path.read_text():
    assert 'training/loop.py' in text
  # The suspended process ends when it is continued, either because it is told
  # of the hang or because its own watchdog finds one.
  started[1].send_signal(signal.SIGCONT)
  output, _ = started[1].communicate(timeout=60)
  assert started[1].returncode == 76, output


def test_processes_with_other_settings_are_refused(start_run, tmp_path):
  codes, outputs = finish(
      start_run(
          tmp_path,
          *SETTINGS,
          processes=2,
          devices=1,
          each=lambda i: [f'--config.optimizer.learning_rate=0.{i + 1}'],
      )
  )
  assert codes == [1, 1], outputs
  for output in outputs:
    (line,) = last_lines(output)
    assert line == (
        'error: the processes of the run differ in config.optimizer'
        '.learning_rate: process 0 has 0.1, process 1 has 0.2'
    )
  assert not (tmp_path / 'checkpoints').exists()


def test_process_that_never_comes_is_named(start_run, tmp_path):
  first, second = start_run(
      tmp_path, *SETTINGS, '--join_timeout=3', processes=2, devices=1
  )
  second.kill()
  codes, outputs = finish([first])
  assert codes == [76], outputs
  (line,) = last_lines(outputs[0])
  assert line.startswith('of 2 processes 1 did not come within 3 s: 1. Check')


def test_fsdp_that_does_not_divide_the_devices_is_refused(start_run, tmp_path):
  codes, outputs = finish(
      start_run(tmp_path, *SETTINGS, '--config.fsdp=3', processes=2, devices=2)
  )
  assert codes == [1, 1], outputs
  for output in outputs:
    assert last_lines(output) == [
        'error: config.fsdp=3 must divide the 4 devices of this run'
    ]
