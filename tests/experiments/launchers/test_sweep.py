"""Sweeps: the shipped ones, workdirs of their jobs, and wrong files."""

import pathlib

import pytest

from experiments.launchers import checks
from experiments.launchers import job as job_lib
from experiments.launchers import sweep

ROOT = pathlib.Path(__file__).parents[3]
SWEEPS = sorted((ROOT / 'experiments' / 'sweeps').glob('*.py'))
BASE = job_lib.Job('a', f'{ROOT}/configs/rvm_small.py', '/w')


def write(path, body):
  path.write_text(f'def sweep():\n{body}\n')
  return str(path)


@pytest.mark.parametrize('path', SWEEPS, ids=[path.stem for path in SWEEPS])
def test_every_shipped_sweep_fits_the_small_config(path):
  jobs = sweep.jobs(BASE, str(path))
  assert len(jobs) > 1
  for job in jobs:
    checks.check(job)


def test_jobs_have_workdirs_named_after_their_overrides(tmp_path):
  path = write(
      tmp_path / 's.py',
      '  yield {"seed": 1, "data.min_gap": 2}\n'
      '  yield {"data.sources": ("/a b", "/c")}',
  )
  first, second = sweep.jobs(BASE, path)
  assert first.workdir == '/w/seed=1,data.min_gap=2'
  assert first.name == 'a-seed=1,data.min_gap=2'
  assert first.overrides == (('seed', '1'), ('data.min_gap', '2'))
  assert second.overrides == (('data.sources', "('/a b', '/c')"),)
  assert second.workdir == '/w/data.sources=-a-b-,-c-'


def test_jobs_without_a_sweep_are_the_base_alone():
  assert sweep.jobs(BASE, None) == [BASE]


@pytest.mark.parametrize(
    'body, message',
    [
        ('  return\n  yield', 'sweep\\(\\) yields nothing'),
        ('  yield 3', 'must yield dicts'),
        ('  yield {}', 'must yield dicts'),
        ('  yield {"seed": 1}\n  yield {"seed": 1}', 'two jobs are named seed'),
    ],
)
def test_jobs_refuse_a_wrong_sweep(tmp_path, body, message):
  with pytest.raises(ValueError, match=message):
    sweep.jobs(BASE, write(tmp_path / 's.py', body))


def test_jobs_refuse_a_file_without_a_sweep(tmp_path):
  path = tmp_path / 's.py'
  path.write_text('')
  with pytest.raises(ValueError, match='no function sweep'):
    sweep.jobs(BASE, str(path))
