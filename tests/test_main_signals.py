"""The command `rvm_jax.main` is stopped and profiled by signals."""

import os
import pathlib
import shutil
import signal
import time

import numpy as np

from tests import commands
from tests import run_checkpoints

# The evaluation on scenes takes most of the time of a run of a few steps.
NO_SCENES = '--config.num_eval_scenes=0'


def test_sigterm_saves_and_exits_with_its_code(start, run, tmp_path):
  # The run has too many steps to end by itself, and no checkpoint is due before
  # the signal. The signals below are sent to the workers too, as a cluster's
  # scheduler does.
  settings = (
      '--config.num_steps=100000',
      '--config.checkpoint.save_every=100000',
      '--config.data.num_workers=2',
      NO_SCENES,
  )
  process = start(tmp_path, *settings)
  commands.wait_for(process, 'step 2/')
  code, output = run(tmp_path, NO_SCENES)
  assert code == 1
  assert output.splitlines()[-1].startswith(
      f'error: {tmp_path} is in use by a run: process {process.pid} on '
  ), output
  # The signal for a profile ends neither the run nor the workers.
  os.killpg(process.pid, signal.SIGUSR1)
  commands.wait_for(process, f'Wrote {tmp_path}/profiles/steps_')
  assert list(tmp_path.glob('profiles/*/plugins/profile/*/*.xplane.pb'))
  os.killpg(process.pid, signal.SIGTERM)
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 75, output
  (saved,) = (tmp_path / 'checkpoints').iterdir()
  assert f'stopped at step {saved.name}, all saved' in output
  assert 'run the same command to go on' in output

  # A run that is resumed with no steps left saves the same checkpoint again.
  before = run_checkpoints.read(tmp_path, saved.name)
  code, output = run(tmp_path, f'--config.num_steps={saved.name}', NO_SCENES)
  assert code == 0 and f'checkpoints/{saved.name}' in output, output
  np.testing.assert_equal(run_checkpoints.read(tmp_path, saved.name), before)


def test_signals_right_after_a_resume_lose_nothing(
    whole_run, start, run, tmp_path
):
  shutil.copytree(whole_run[0], tmp_path, dirs_exist_ok=True)
  shutil.rmtree(tmp_path / 'checkpoints' / '6')
  # The signals come while the workers are being started. They are sent to the
  # workers too, as Ctrl-C is.
  for number in (signal.SIGTERM, signal.SIGINT):
    process = start(
        tmp_path,
        '--config.data.num_workers=2',
        '--config.eval_every=1000',
        NO_SCENES,
    )
    commands.wait_for(process, 'Resumed from')
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 75, output
    assert f'{number.name}: stopping after this step' in output
    assert 'Traceback' not in output and 'leaked' not in output, output
  code, output = run(tmp_path, NO_SCENES)
  assert code == 0, output
  run_checkpoints.assert_same_end(tmp_path, whole_run[0])


def test_ctrl_c_during_the_imports_is_not_an_exception(start, tmp_path):
  process = start(tmp_path / 'run')
  maps = pathlib.Path(f'/proc/{process.pid}/maps')
  # The imports have begun when JAX's library is loaded, which takes a while.
  while 'libjax_common' not in maps.read_text():
    assert process.poll() is None
    time.sleep(0.01)
  process.send_signal(signal.SIGINT)
  output, _ = process.communicate(timeout=60)
  assert process.returncode == -signal.SIGINT
  assert not output


def test_ctrl_c_while_scenes_are_generated_needs_no_save(start, tmp_path):
  process = start(
      tmp_path,
      '--config.num_eval_scenes=1000000',
      '--config.data.num_workers=2',
  )
  commands.wait_for(process, 'Config:')
  os.killpg(process.pid, signal.SIGINT)
  output, _ = process.communicate(timeout=200)
  assert process.returncode == 75, output
  assert 'there was nothing to save' in output
  assert 'Traceback' not in output, output


def test_sigterm_in_an_evaluation_is_not_kept_waiting(start, tmp_path):
  process = start(tmp_path, '--config.num_eval_scenes=64')
  commands.wait_for(process, 'reconstruction_clips_0000000.png')
  process.send_signal(signal.SIGTERM)
  output, _ = process.communicate(timeout=200)
  assert process.returncode == 75, output
  assert 'points, average Jaccard' not in output
  assert 'Traceback' not in output, output
