"""Scalars are sent to Weights & Biases; its failures do not end a run."""

import json
import subprocess
import sys

import pytest

from rvm_jax.storage import json_lines
from rvm_jax.training import wandb_writer

# A stand-in for the package, which writes each call to a file.
FAKE = """
import json, os

class Run:
  offline, url = False, 'https://example.com/run'

  def log(self, scalars, step):
    if 'broken' in scalars:
      raise RuntimeError('no network.\\nmany lines')
    call('log', scalars, step)

  def finish(self):
    call('finish')

def init(settings, dir, **arguments):
  call('init', arguments)
  return Run()

def Settings(**arguments):
  pass

def call(*what):
  with open(os.path.join(os.path.dirname(__file__), 'calls'), 'a') as f:
    f.write(json.dumps(what) + '\\n')
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
  """Returns the folder of a fake package that child processes import."""
  folder = tmp_path / 'fake'
  folder.mkdir()
  (folder / 'wandb.py').write_text(FAKE)
  monkeypatch.setenv('PYTHONPATH', str(folder), prepend=':')
  return folder


def append(workdir, *steps, start=0, **scalars):
  appender = json_lines.Appender(
      workdir / 'metrics.jsonl', keep=lambda line: line['step'] <= start
  )
  for step in steps:
    appender.append({'step': step, 'time': 1.0, 'loss': step / 2} | scalars)


def calls(fake):
  lines = (fake / 'calls').read_text().splitlines()
  (fake / 'calls').unlink()
  return [json.loads(line) for line in lines]


def test_restarted_run_goes_on_and_sends_each_step_once(fake, tmp_path, capfd):
  with wandb_writer.send(tmp_path, 'videos', {'model': {'width': 8}}):
    append(tmp_path, 0, 2, 4, score=None)
  assert 'Weights & Biases: https://example.com/run' in capfd.readouterr().err
  (_, arguments), *logged, finish = calls(fake)
  run_id = arguments.pop('id')
  assert arguments == {
      'project': 'videos',
      'resume': 'allow',
      'config': {'model': {'width': 8}},
  }
  assert logged == [['log', {'loss': step / 2}, step] for step in (0, 2, 4)]
  assert finish == ['finish']

  # The run resumes from step 2, and does step 4 again.
  with wandb_writer.send(tmp_path, 'videos', {}):
    append(tmp_path, 4, 6, start=2)
  (_, arguments), *logged, _ = calls(fake)
  assert arguments['id'] == run_id
  # Step 4 may have had more scalars, so it is sent again.
  assert [step for *_, step in logged] == [4, 6]


def test_failure_is_one_line_and_the_rest_can_be_sent_later(
    fake, tmp_path, capfd
):
  with wandb_writer.send(tmp_path, 'videos', {}):
    append(tmp_path, 0)
    append(tmp_path, 2, start=0, broken=1)
  error = capfd.readouterr().err
  (line,) = (line for line in error.splitlines() if 'no network' in line)
  assert line == 'Weights & Biases: no network. Nothing more is sent'
  assert 'Traceback' not in error
  calls(fake)

  append(tmp_path, 4, start=1)
  command = [sys.executable, '-m', 'rvm_jax.training.wandb_writer', tmp_path]
  subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=120)
  assert calls(fake)[-2:] == [['log', {'loss': 2.0}, 4], ['finish']]


def test_missing_package_is_one_line(fake, tmp_path, capfd, caplog):
  (fake / 'wandb.py').write_text(
      'raise ModuleNotFoundError(name="wandb")  # As if it were not there.'
  )
  with wandb_writer.send(tmp_path, 'videos', {}):
    append(tmp_path, 0)
  assert "the extra 'wandb' in setup.py" in capfd.readouterr().err
  assert 'To send the rest: python -m rvm_jax.training' in caplog.text


def test_nothing_is_sent_without_a_project(tmp_path):
  with wandb_writer.send(tmp_path, None, {}):
    pass
  assert not list(tmp_path.iterdir())


def test_damaged_state_starts_a_new_wandb_run(fake, tmp_path, caplog):
  (tmp_path / 'wandb.json').write_text('\0\0')
  with wandb_writer.send(tmp_path, 'videos', {}):
    append(tmp_path, 0)
  assert 'wandb.json is not JSON' in caplog.text
  assert len(calls(fake)) == 3
