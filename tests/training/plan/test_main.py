"""The command `rvm_jax.training.plan` in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[3]
TINY = 'tests/tiny.py'


def run(*arguments):
  """Runs the command on the tiny config; returns the finished process."""
  return subprocess.run(
      [sys.executable, '-m', 'rvm_jax.training.plan', *arguments],
      cwd=ROOT,
      env=os.environ | {'JAX_PLATFORMS': 'cpu'},
      capture_output=True,
      text=True,
      check=False,
  )


def test_formula_prints_a_table_and_writes_json(tmp_path):
  path = tmp_path / 'plan.json'
  done = run(
      f'--config={TINY}',
      '--topology=v6e:2x2',
      '--config.data.batch_size=32',
      '--formula',
      '--clips_per_core_second=100',
      f'--json={path}',
  )
  assert done.returncode == 0, done.stderr
  assert 'for a chip, each 100 clips a second, at most |' in done.stdout
  table, verdict = done.stdout.strip().split('\n\n')
  lines = table.splitlines()
  assert all(line.count('|') == 3 for line in lines)
  assert lines[0] == f'| {TINY} on v6e:2x2 | |'
  assert '| batch | 32 clips, 8 a device |' in lines
  assert verdict.startswith('It fits') and 'formula' in verdict
  numbers = json.loads(path.read_text())
  assert numbers['num_devices'] == 4 and numbers['is_fitting']
  assert numbers['program'] is None
  memory = numbers['memory']
  parts = ('parameters', 'optimizer', 'batch', 'temporary')
  assert memory['total'] == sum(memory[key] for key in parts)


def test_search_chooses_settings_that_fit():
  done = run(
      f'--config={TINY}',
      '--topology=2xv6e:2x2',
      '--config.data.batch_size=64',
      '--config.fsdp=3',
      '--formula',
      '--search',
  )
  assert done.returncode == 0, done.stderr
  assert '--config.model.remat=none --config.fsdp=1' in done.stdout


def test_wrong_input_ends_in_one_line():
  done = run(f'--config={TINY}', '--formula', '--topology=v6e:16x17')
  assert done.returncode == 1
  last = done.stderr.strip().splitlines()[-1]
  assert last.startswith('error:') and 'near: 16x16' in last


def test_json_file_is_not_replaced(tmp_path):
  path = tmp_path / 'plan.json'
  path.write_text('mine')
  done = run(
      f'--config={TINY}', '--topology=v6e:2x2', '--formula', f'--json={path}'
  )
  assert done.returncode == 1 and 'plan.json' in done.stderr
  assert path.read_text() == 'mine'
