"""The launcher's command: dry runs against golden files, and wrong inputs.

To write the golden files anew: `python -m tests.experiments.test_launch`.
"""

import ast
import contextlib
import io
import os
import pathlib
import subprocess
import sys

from absl import flags
import pytest

from experiments import launch as launch_lib
from experiments.launchers import job as job_lib

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = pathlib.Path(__file__).parent / 'golden'
COMMON = ['--config=configs/rvm_large.py', '--workdir=/data/large', '--dry_run']
SLICE = ['--topology=v5e:4x4', '--config.data.batch_size=1024']
GPUS = ['--processes=2', '--devices=8', '--platform=gpu']
CLOUD = ['--cluster=pod', '--project=lab', '--zone=us-west4-a']
IMAGE = '--image=registry/rvm:1'
CASES = {
    'local_cpu': ['--processes=2', '--devices=4', '--platform=cpu'],
    'local_gpu': ['--processes=2', '--devices=4', '--platform=gpu'],
    'local_sweep': ['--sweep=experiments/sweeps/source_frames.py'],
    'slurm': [*GPUS, '--queue=a100', '--time_limit=1-00:00:00']
    + ['--extra=--account=lab', '--env=TMPDIR=/scratch/a b'],
    'gke_tpu': [*SLICE, IMAGE, '--mount=disk:/data', '--spot', '--queue=lab'],
    'gke_tpu7x': ['--topology=tpu7x:2x2x2', IMAGE],
    'gke_gpu': [*GPUS, IMAGE, '--accelerator=nvidia-h100-80gb'],
    'xpk': [*SLICE, *CLOUD, IMAGE, '--env=A=b'],
    'gcluster': [*SLICE, *CLOUD, IMAGE, '--queue=lab'],
    'sky_tpu': [*SLICE, '--spot'],
    'sky_gpu': [*GPUS, '--accelerator=H100', '--env=A=b'],
    'tpu_vm': [*SLICE, '--zone=us-west4-a', '--spot', '--env=A=b c'],
    'xm': ['--processes=2', '--devices=1', '--platform=cpu']
    + ['--config.seed=3', '--env=A=b'],
}


def launch(*arguments):
  """Runs the command; returns the exit code, stdout and stderr."""
  done = subprocess.run(
      [sys.executable, 'experiments/launch.py', *arguments],
      cwd=ROOT,
      env=os.environ | {'XLA_FLAGS': '', 'JAX_PLATFORMS': 'cpu'},
      capture_output=True,
      text=True,
      timeout=100,
  )
  return done.returncode, done.stdout, done.stderr


def run(*arguments):
  """Runs the command in this process; returns the exit code."""
  for flag in flags.FLAGS.flags_by_module_dict()[launch_lib.__name__]:
    flag.unparse()
  return launch_lib.main(launch_lib._parse(['launch', *arguments]))


def dry_run(name):
  """Prints the plan of a case in this process; returns what was printed."""
  backend = name if name in launch_lib.BACKENDS else name.rpartition('_')[0]
  printed = io.StringIO()
  with contextlib.redirect_stdout(printed):
    assert run(f'--backend={backend}', *COMMON, *CASES[name]) == 0
  return printed.getvalue()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
  monkeypatch.setenv('XLA_FLAGS', '')
  monkeypatch.chdir(ROOT)


@pytest.mark.parametrize('name', CASES)
def test_dry_run_prints_the_golden_plan(name):
  assert dry_run(name) == (GOLDEN / f'{name}.txt').read_text()


def test_every_back_end_has_a_golden_plan():
  assert {name.split('_')[0] for name in CASES if name != 'tpu_vm'} | {
      'tpu_vm'
  } == set(launch_lib.BACKENDS)


@pytest.mark.parametrize(
    'arguments, message',
    [
        (
            ['--backend=pbs'],
            '--backend=pbs is not known; it must be one of loc',
        ),
        (['--workdir='], '--workdir is needed'),
        (['--config='], '--config is needed'),
        (
            ['--config=configs/none.py'],
            '--config=configs/none.py: no such file',
        ),
        (['--workdir=s3://bucket/run'], 'not to a bucket'),
        (
            ['--workdir=gs://bucket/run'],
            'in the bucket: --config.checkpoint.bucket=gs://bucket/run',
        ),
        (['--config.data.min_ga=3'], 'no min_ga; did you mean min_gap?'),
        (['--config.data=3'], '--config.data is a group of settings'),
        (['--config.num_steps=many'], 'invalid literal for int'),
        (['--config.seed', '3'], '--config.seed must be --config.KEY=VALUE'),
        (['seed', '3'], 'seed must be --config.KEY=VALUE'),
        (['--processes=3', '--devices=5'], 'must be a multiple of 15 devices'),
        (
            ['--processes=2', '--devices=4', '--config.fsdp=3'],
            'config.fsdp=3 must divide the 8 devices',
        ),
        (
            ['--topology=v5e:4x4', '--config.fsdp=32'],
            'config.fsdp=32 must divide the 16 devices',
        ),
        (
            [
                "--config.data.sources=('/a',)",
                "--config.data.sources=('/b',)",
            ],
            '--config.data.sources is given more than once',
        ),
        (['--config.seed=-1'], 'config.seed=-1 must be'),
        (['--processes=0'], '--processes=0 must be at least 1'),
        (['--topology=v5p:4x4x12'], 'must be a multiple of 192 devices'),
        (['--topology=v9:4x4'], 'the TPU version must be one of v4, v5e'),
        (['--topology=v5e:3x3'], 'v5e has no such topology; it has 1x1, 2x2'),
        (
            ['--topology=v5e:4x4', '--processes=2'],
            '--processes=2 does not fit --topology=v5e:4x4, which has 4',
        ),
        (
            ['--topology=v5e:4x4', '--devices=8'],
            '--devices=8 does not fit --topology=v5e:4x4, which has 4',
        ),
        (['--backend=gke'], '--backend=gke needs --image'),
        (['--backend=xpk'], '--backend=xpk needs --topology, --image, --clus'),
        (['--backend=tpu_vm', '--topology=tpu7x:2x2x1', '--zone=z'], 'use --b'),
        (['--platform=gpu'], '--platform=gpu needs --devices'),
        (['--mount=disk'], '--mount=disk must be CLAIM:/PATH'),
        (['--sweep=none.py'], '--sweep=none.py: no such file'),
        (
            ['--sweep=experiments/sweeps/seeds.py', '--config.seed=1'],
            'sets seed, which the command line sets too',
        ),
    ],
)
def test_wrong_input_is_refused_in_one_line(arguments, message, capsys):
  assert run(*COMMON, *arguments) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ') and message in line


def test_the_command_itself_refuses_with_exit_code_1():
  code, output, errors = launch(*COMMON, '--backend=pbs')
  assert code == 1 and not output
  assert errors.startswith('error: --backend=pbs is not known')


@pytest.fixture
def submit_job(tmp_path, monkeypatch):
  """Returns a function that submits a Slurm job from an empty folder.

  Its argument is the text of a script that takes the place of `sbatch`.
  """

  def submit_job_(text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    if text is not None:
      (tmp_path / 'sbatch').write_text(f'#!/bin/bash\n{text}\n')
      (tmp_path / 'sbatch').chmod(0o755)
    job = job_lib.Job('rvm_large', 'configs/rvm_large.py', '/w')
    launch_lib.submit(launch_lib.BACKENDS['slurm'](job))

  return submit_job_


def test_submit_writes_the_script_and_hands_it_to_the_scheduler(
    submit_job, tmp_path
):
  submit_job('cp "$1" submitted; echo "$@" > arguments')
  path = 'runs/launch/rvm-large.sbatch'
  assert (tmp_path / 'arguments').read_text() == f'{path}\n'
  script = (tmp_path / path).read_text()
  assert 'srun' in script and (tmp_path / 'submitted').read_text() == script


def test_submit_names_a_scheduler_that_is_missing(submit_job):
  with pytest.raises(ValueError, match='sbatch is not installed here'):
    submit_job(None)


def test_submit_says_when_the_scheduler_refuses(submit_job):
  with pytest.raises(ValueError, match='sbatch ended with exit code 3'):
    submit_job('exit 3')


def test_experiments_import_only_the_config_validation_of_the_package():
  found = {}
  for path in (ROOT / 'experiments').rglob('*.py'):
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.ImportFrom):
        names = [f'{node.module}.{alias.name}' for alias in node.names]
      elif isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
      else:
        continue
      for name in names:
        if name.split('.')[0] in ('rvm_jax', 'configs', 'tests'):
          found.setdefault(name, []).append(path.name)
  assert found == {'rvm_jax.config': ['checks.py']}


def write_golden():
  os.environ['XLA_FLAGS'] = ''
  for name in CASES:
    (GOLDEN / f'{name}.txt').write_text(dry_run(name))


if __name__ == '__main__':
  write_golden()
