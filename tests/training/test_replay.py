"""The command `rvm_jax.training.replay`, on a run of the tiny RVM."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from rvm_jax.storage import json_lines
from rvm_jax.training import loop
from rvm_jax.training import objectives
from rvm_jax.training import recomputation
from rvm_jax.training import replay
from tests import tiny

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run')
  config = tiny.get_config()
  config.update(num_steps=4, log_every=1)
  objective = objectives.from_config(config)
  loop.train(config, workdir, objective, objectives.open_data(config), {})
  return workdir


@pytest.fixture
def run(environment):
  """Runs the command; returns its exit code, its output and its log."""

  def run_(*arguments):
    done = subprocess.run(
        [sys.executable, '-m', 'rvm_jax.training.replay', *arguments],
        cwd=ROOT,
        # As many devices as in this process, which has trained the run.
        env=environment | {'XLA_FLAGS': os.environ['XLA_FLAGS']},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr

  return run_


def test_replay_prints_what_was_logged_and_writes_the_clips(
    run, workdir, tmp_path
):
  out = tmp_path / 'out'
  code, output, log = run(f'--workdir={workdir}', '--step=4', f'--out={out}')
  assert code == 0, log
  assert f'Resumed from {workdir}/checkpoints/2' in log
  lines = output.splitlines()
  values, clips = lines[:3], lines[4:8]
  assert {line.split()[0] for line in values} == {
      'loss',
      'gradient_norm',
      'update_norm',
  }
  assert all(line.endswith(' as logged') for line in values), output
  names = [line.strip() for line in clips]
  assert names == json.loads((out / 'clips.json').read_text())
  assert 'scene' in names[0] and lines[3] == 'clips:'
  with Image.open(out / '0003.png') as picture:
    assert np.asarray(picture).shape == (64, 64, 3)
    assert np.asarray(picture).std() > 10


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--step=9'], '--step=9 must be one of the steps 1 to 4'),
        (['--step=2', '--out=/'], '--out=/ is there already'),
    ],
)
def test_replay_says_in_a_line_what_is_wrong(run, workdir, arguments, message):
  code, _, log = run(f'--workdir={workdir}', *arguments)
  assert code == 1
  assert log.splitlines()[-1].startswith('error: ') and message in log
  assert 'Traceback' not in log


def test_config_is_that_of_the_checkpoint_after_the_step(tmp_path):
  for step, rate in ((2, 0.1), (4, 0.2), (6, 0.3)):
    path = tmp_path / 'checkpoints' / str(step) / 'config'
    path.mkdir(parents=True)
    path.with_name('state').mkdir()
    (path / 'metadata').write_text(json.dumps({'rate': rate}))
  for step, rate in ((1, 0.1), (2, 0.1), (3, 0.2), (6, 0.3), (9, 0.3)):
    assert replay.find_config(tmp_path, step).rate == rate


def test_config_of_a_folder_without_checkpoint_must_be_given(tmp_path):
  for folder in (tmp_path, tmp_path / 'none'):
    with pytest.raises(FileNotFoundError, match='pass --config as for the run'):
      replay.find_config(folder, 1)


def test_print_says_what_differs_from_the_log(tmp_path, capsys):
  metrics = json_lines.Appender(tmp_path / 'metrics.jsonl')
  metrics.append({'step': 3, 'train/loss': 0.5, 'train/gradient_norm': None})
  spikes = json_lines.Appender(tmp_path / 'spikes.jsonl')
  spikes.append({'step': 3, 'update_norm': 0.1, 'clips': ['a', 'b']})
  values = {'loss': 0.25, 'gradient_norm': 1.0, 'update_norm': np.float32(0.1)}
  for clips, found in (
      (['a', 'b'], 'the clips'),
      (['a', 'c'], 'not the clips'),
  ):
    step = recomputation.Step(values, {}, clips)
    replay.print_(step, tmp_path, 3)
    loss, gradient, update, *rest = capsys.readouterr().out.splitlines()
    assert loss.split() == ['loss', '0.25', 'logged:', '0.5']
    assert gradient.split() == ['gradient_norm', '1']
    assert update.endswith('as logged')
    assert rest[:3] == ['clips:', *(f'  {name}' for name in clips)]
    assert rest[3] == f'These are {found} in spikes.jsonl'
