"""docs/running.md agrees with the code: commands, sweeps, exit codes."""

import pathlib
import re
import shlex

import pytest

from experiments.launchers import job as job_lib
from tests.experiments import test_launch

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'running.md').read_text()
# The indented commands of the document, each with its continuation lines.
COMMANDS = re.findall(
    r'^    python experiments/launch\.py ((?:.*\\\n)*.*)$', TEXT, re.M
)


@pytest.mark.parametrize('command', COMMANDS)
def test_commands_give_a_plan(command, monkeypatch, capsys):
  monkeypatch.chdir(ROOT)
  words = shlex.split(command.replace('\\\n', ' '))
  assert test_launch.run(*words, '--dry_run') == 0
  assert '--config=configs/' in capsys.readouterr().out


def test_every_back_end_has_a_command_or_a_row():
  assert len(COMMANDS) >= 7
  for name in ('slurm', 'gke'):
    assert any(f'--backend={name}' in command for command in COMMANDS)
  for name in ('xpk', 'gcluster', 'sky', 'tpu_vm'):
    assert f'| `{name}` |' in TEXT


def test_the_table_of_sweeps_is_that_of_the_files():
  said = re.findall(r'^\| `(\w+\.py)` \|', TEXT, re.M)
  files = (ROOT / 'experiments' / 'sweeps').glob('*.py')
  assert sorted(said) == sorted(path.name for path in files)


def test_the_restartable_codes_are_those_of_the_code():
  rows = re.findall(r'^\| ([\d, ]+) \|.*\| yes \|$', TEXT, re.M)
  said = [int(code) for row in rows for code in row.split(',')]
  assert said == list(job_lib.RESTART_CODES)
