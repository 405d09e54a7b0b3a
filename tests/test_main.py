"""The command `rvm_jax.main` in processes of its own, some of them killed."""

import shutil
import signal
import socket
import subprocess
import sys

import av
import numpy as np
from PIL import Image
import pytest

from rvm_jax import weights
from rvm_jax.storage import json_lines
from rvm_jax.weights import trees
from tests import commands
from tests import run_checkpoints
from tests.training import events


def test_run_leaves_checkpoints_events_and_pictures(whole_run):
  workdir, output = whole_run
  kept = sorted(path.name for path in (workdir / 'checkpoints').iterdir())
  assert kept == ['4', '6']
  assert 'step 6/6' in output and 'waiting for data' in output
  assert 'million parameters (--verbosity=1 lists them)' in output
  assert 'tokenizer/patch_embedding/Conv_0/kernel' not in output
  assert 'learning_rate: 0.001' in output
  assert 'orbax' not in output
  with Image.open(
      workdir / 'pictures' / 'reconstruction_clips_0000006.png'
  ) as picture:
    assert np.asarray(picture).std() > 10

  shown = events.read(workdir)
  assert [step for step, _ in shown['train/loss']] == [2, 4, 6]
  assert [step for step, _ in shown['eval/reconstruction/loss']] == [0, 6]
  assert [step for step, _ in shown['eval/scenes/points_aj']] == [0, 6]
  assert (workdir / 'pictures' / 'scenes_points_0000006.png').exists()
  assert shown['train/clips_seen'] == [(2, 8), (4, 16), (6, 24)]
  assert all(value >= 0 for _, value in shown['train/data_wait'])
  # The same scalars are in a file of JSON lines.
  metrics = json_lines.read(workdir / 'metrics.jsonl')
  for tag in ('train/loss', 'eval/scenes/points_aj'):
    lines = [(line['step'], line[tag]) for line in metrics if tag in line]
    assert lines == [(step, pytest.approx(x)) for step, x in shown[tag]]
  last = json_lines.read(workdir / 'ledger.jsonl')[-1]
  assert (last['event'], last['step'], last['code']) == ('end', 6, 0)


def test_run_can_be_loaded_and_shown_by_the_demo(whole_run, environment):
  workdir, _ = whole_run
  config, model, params = weights.load_run(workdir)
  assert config['data']['batch_size'] == 4 and model.width == 16
  state, _ = run_checkpoints.read(workdir, 6)
  flat = trees.flatten(params)
  assert len(flat) == sum("['params']" in key for key in state)
  for key, array in flat.items():
    path = "['params']" + ''.join(f"['{part}']" for part in key.split('/'))
    np.testing.assert_array_equal(array, state[path], err_msg=key)

  done = subprocess.run(
      [
          sys.executable,
          '-m',
          'rvm_jax.evals.scenes.demo',
          f'--workdir={workdir}',
          '--size=32',
          '--num_clips=8',
      ],
      cwd=commands.ROOT,
      env=environment,
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.returncode == 0, done.stderr
  for row in ('raw pixels', 'untrained', 'trained', 'masks that stay'):
    assert f'\n{row} ' in done.stdout
  page = workdir / 'demo.html'
  assert done.stdout.splitlines()[-1].endswith(f': {page}')
  text = page.read_text()
  assert text.count('<article>') == 8 and text.count('<video') == 3
  assert text.count('data:video/mp4') == 6 and 'data:image/png' in text
  assert (workdir / 'pictures' / 'masks_0.png').exists()


def test_load_run_refuses_a_folder_without_checkpoint(tmp_path):
  with pytest.raises(FileNotFoundError, match='has no checkpoint of a run'):
    weights.load_run(tmp_path)


def test_run_killed_and_resumed_equals_an_uninterrupted_run(
    whole_run, start, run, tmp_path
):
  settings = (
      '--config.checkpoint.save_every=3',
      '--config.log_every=1',
      # Their evaluation takes most of the time of such a run.
      '--config.num_eval_scenes=0',
  )
  process = start(tmp_path, '--config.data.num_workers=2', *settings)
  commands.wait_for(process, 'step 4/6')
  # Step 4 is logged only after the checkpoint of step 3 is complete.
  assert (tmp_path / 'checkpoints' / '3').exists()
  process.send_signal(signal.SIGKILL)
  process.communicate()
  assert not (tmp_path / 'checkpoints' / '6').exists()
  code, output = run(tmp_path, '--config.data.num_workers=1', *settings)
  assert code == 0, output
  assert f'Resumed from {tmp_path}/checkpoints/3' in output
  run_checkpoints.assert_same_end(tmp_path, whole_run[0])

  # Steps that were done twice are shown once in TensorBoard.
  shown, expected = events.read(tmp_path), events.read(whole_run[0])
  assert [step for step, _ in shown['train/loss']] == [1, 2, 3, 4, 5, 6]
  assert shown['train/loss'][1::2] == expected['train/loss']
  evaluated = 'eval/reconstruction/loss'
  assert shown[evaluated] == expected[evaluated]
  metrics = json_lines.read(tmp_path / 'metrics.jsonl')
  steps = [line['step'] for line in metrics if 'train/loss' in line]
  assert steps == [1, 2, 3, 4, 5, 6]
  # The kill came after step 4 was written, and before a checkpoint of step 6.
  lines = json_lines.read(tmp_path / 'ledger.jsonl')
  first, second = (line for line in lines if line['event'] == 'start')
  assert first['step'] == 0 and second['step'] == 3
  assert 1 <= second['lost'] <= 3 and second['down'] > 0


def test_run_resumes_in_two_processes_with_split_parameters(
    whole_run, start, tmp_path
):
  shutil.copytree(whole_run[0], tmp_path, dirs_exist_ok=True)
  shutil.rmtree(tmp_path / 'checkpoints' / '6')
  with socket.socket() as s:
    s.bind(('localhost', 0))
    address = f'localhost:{s.getsockname()[1]}'
  processes = [
      start(
          tmp_path,
          '--config.fsdp=4',
          f'--coordinator={address}',
          '--num_processes=2',
          f'--process_id={i}',
          XLA_FLAGS=commands.XLA_FLAGS + '2',
          JAX_CPU_COLLECTIVES_IMPLEMENTATION='gloo',
      )
      for i in range(2)
  ]
  outputs = [process.communicate(timeout=300)[0] for process in processes]
  assert [process.returncode for process in processes] == [0, 0], outputs
  assert f'Resumed from {tmp_path}/checkpoints/4' in outputs[0]
  assert 'step 6/6' in outputs[0] and 'step 6/6' not in outputs[1]
  # Only the positions in the data are compared here. Parameters are compared in
  # tests/test_main_processes.py.
  assert (
      run_checkpoints.read(tmp_path, 6)[1]
      == run_checkpoints.read(whole_run[0], 6)[1]
  )
  # The samples that are evaluated, their masks and the scenes are the same, in
  # the same order.
  for evaluated, tolerance in (
      ('eval/reconstruction/loss', 1e-5),
      ('eval/scenes/masks_j_and_f', 0.02),
      ('eval/scenes/depth_abs_rel', 0.02),
  ):
    shown = events.read(tmp_path)[evaluated]
    expected = events.read(whole_run[0])[evaluated]
    assert [step for step, _ in shown] == [0, 6]
    assert shown[1][1] == pytest.approx(expected[1][1], rel=tolerance)


def write_video(path):
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('mpeg4', rate=25)
    stream.height = stream.width = 64
    for number in range(60):
      image = np.full((64, 64, 3), 4 * number, np.uint8)
      container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
    container.mux(stream.encode(None))


def test_run_stops_at_a_loss_that_is_not_finite(run, tmp_path):
  videos, workdir = tmp_path / 'videos', tmp_path / 'run'
  videos.mkdir()
  write_video(videos / 'good.mp4')
  (videos / 'bad.mp4').write_text('no video')
  code, output = run(
      workdir,
      f"--config.data.sources=('{videos}',)",
      '--config.data.max_bad_share=0.5',
      '--config.optimizer.learning_rate=1e30',
      '--config.num_steps=20',
      '--config.num_eval_scenes=0',
      '--config.checkpoint.save_every=1',
      '--config.checkpoint.keep_last=50',
      XDG_CACHE_HOME=str(tmp_path / 'cache'),
  )
  assert code == 1
  # Videos are indexed once, for training and for evaluation.
  assert output.count('1 of 2 videos') == 1
  last = output.splitlines()[-1]
  assert last.startswith('error: step ')
  assert 'Last good checkpoint: ' in last
  (details,) = (workdir / 'errors').iterdir()
  assert f'{videos}/good.mp4 from frame ' in details.read_text()
  for path in (workdir / 'checkpoints').iterdir():
    state, _ = run_checkpoints.read(workdir, int(path.name))
    assert all(np.isfinite(x).all() for x in state.values()), path


@pytest.mark.parametrize(
    'overrides, message',
    [
        (['--config.data.batch_sise=4'], 'batch_sise'),
        (['--config.data.width=36'], 'config.data.width=36 must be a multiple'),
        (["--config.data.sources=('/no/such/place',)"], '/no/such/place'),
        (
            ['--config.checkpoint.init_from=/no/such/run'],
            'config.checkpoint.init_from=/no/such/run must be',
        ),
        (['--config=/no/such/config.py'], '/no/such/config.py'),
    ],
)
def test_run_with_wrong_settings_says_what_is_wrong(
    run, tmp_path, overrides, message
):
  code, output = run(tmp_path, *overrides)
  assert code == 1
  last = output.splitlines()[-1]
  assert last.startswith('error: ') and message in last, output
  assert 'Traceback' not in output
