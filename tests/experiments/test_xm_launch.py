"""The XManager script, with its local executor and a launcher that records.

Needs XManager: the extra `xmanager`, or an interpreter that has it in
RVM_XMANAGER_PYTHON (it may be another environment than that of the runs).
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
PYTHON = os.environ.get('RVM_XMANAGER_PYTHON')
if PYTHON is None and importlib.util.find_spec('xmanager'):
  PYTHON = sys.executable
pytestmark = pytest.mark.skipif(PYTHON is None, reason='XManager is missing')

# Takes the place of the interpreter of the runs.
RECORD = """#!/bin/bash
printf '%s\\n' "$@" > {folder}/$$.txt
"""


def launch(tmp_path, *arguments, **more):
  code = (
      'import sys; from absl import app; from xmanager.cli import cli;'
      ' app.run(cli.main, flags_parser=cli._parse_flags)'
  )
  return subprocess.run(
      [PYTHON, '-c', code, 'launch', 'experiments/xm_launch.py', '--']
      + [*arguments],
      cwd=ROOT,
      env=os.environ | {'HOME': str(tmp_path)},
      capture_output=True,
      text=True,
      timeout=600,
      **more,
  )


def test_each_job_of_a_sweep_starts_the_local_launcher(tmp_path):
  record = tmp_path / 'record'
  record.mkdir()
  interpreter = tmp_path / 'interpreter'
  interpreter.write_text(RECORD.format(folder=record))
  interpreter.chmod(0o755)
  done = launch(
      tmp_path,
      '--config=tests/tiny.py',
      f'--workdir={tmp_path}/runs',
      '--sweep=experiments/sweeps/gap_range.py',
      '--override=num_steps=2',
      '--launch=--processes=2',
      f'--python={interpreter}',
  )
  assert done.returncode == 0, done.stderr
  started = [path.read_text().splitlines() for path in record.iterdir()]
  assert len(started) == 5
  for arguments in started:
    assert arguments[0] == str(ROOT / 'experiments' / 'launch.py')
    assert '--backend=local' in arguments and '--processes=2' in arguments
    assert '--config.num_steps=2' in arguments
  workdirs = {a for each in started for a in each if '--workdir' in a}
  name = 'data.min_gap=24,data.max_gap=48'
  assert f'--workdir={tmp_path}/runs/{name}' in workdirs
  assert len(workdirs) == 5


def test_a_run_is_done_by_two_processes(tmp_path):
  done = launch(
      tmp_path,
      '--config=tests/tiny.py',
      f'--workdir={tmp_path}/run',
      '--override=num_steps=2',
      '--override=eval_every=100',
      '--launch=--processes=2',
      '--launch=--devices=2',
      '--launch=--platform=cpu',
      f'--python={sys.executable}',
  )
  assert done.returncode == 0, done.stderr + done.stdout
  checkpoint = tmp_path / 'run' / 'checkpoints' / '2' / 'config' / 'metadata'
  assert json.loads(checkpoint.read_text())['num_steps'] == 2
