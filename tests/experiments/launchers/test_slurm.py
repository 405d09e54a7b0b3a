"""The batch script, run by bash with commands that take Slurm's place."""

import os
import pathlib
import subprocess
import sys

import pytest

from experiments.launchers import job as job_lib
from experiments.launchers import slurm
from tests import commands as run_commands

ROOT = pathlib.Path(__file__).parents[3]
JOB = job_lib.Job(
    'a', 'tests/tiny.py', '/w', processes=2, platform='cpu', max_restarts=3
)
# Starts its command once for each task, as srun does, and gives back the
# highest exit code.
SRUN = """
shift 2  # --label --wait=60
for id in 0 1; do
  SLURM_JOB_ID=1234 SLURM_STEP_NODELIST=localhost SLURM_NTASKS=2 \\
    SLURM_PROCID=$id SLURM_LOCALID=$id SLURM_STEP_NUM_NODES=1 "$@" &
  tasks="$tasks $!"
done
highest=0
for task in $tasks; do
  wait $task
  code=$?
  [ $code -gt $highest ] && highest=$code
done
exit $highest
"""


@pytest.fixture
def run(tmp_path, environment):
  """Runs a job's script; returns exit code, output and what was requeued."""

  def run_(job, srun, state='RUNNING', restarts=None):
    commands = {
        'srun': srun,
        'squeue': f'echo {state}',
        'scontrol': f'echo "$@" >> {tmp_path}/requeued',
    }
    for name, text in commands.items():
      path = tmp_path / name
      path.write_text(f'#!/bin/bash\n{text}\n')
      path.chmod(0o755)
    (script,) = slurm.plan(job).files.values()
    binaries = f'{tmp_path}:{os.path.dirname(sys.executable)}'
    variables = environment | {
        'XLA_FLAGS': run_commands.XLA_FLAGS + '2',
        'PATH': f'{binaries}:{os.environ["PATH"]}',
        'SLURM_JOB_ID': '1234',
    }
    if restarts is not None:
      variables['SLURM_RESTART_COUNT'] = str(restarts)
    done = subprocess.run(
        ['bash', '-c', script],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    requeued = tmp_path / 'requeued'
    lines = requeued.read_text().splitlines() if requeued.exists() else []
    return done.returncode, done.stdout, lines

  return run_


@pytest.mark.parametrize('code', job_lib.RESTART_CODES)
def test_script_requeues_the_job_after_a_restartable_exit(run, code):
  assert run(JOB, f'exit {code}') == (code, '', ['requeue 1234'])


@pytest.mark.parametrize('code', [0, 1, 2, 127])
def test_script_does_not_requeue_what_is_done_or_a_mistake(run, code):
  assert run(JOB, f'exit {code}') == (code, '', [])


def test_script_requeues_up_to_the_bound(run):
  assert run(JOB, 'exit 75', restarts=2)[2] == ['requeue 1234']


def test_script_gives_up_after_the_bound(run):
  assert run(JOB, 'exit 75', restarts=3)[2] == []


def test_script_leaves_a_cancelled_job_alone(run):
  assert run(JOB, 'exit 75', state='COMPLETING')[2] == []


def test_script_outlives_the_signal_that_tells_the_run_to_save(run):
  assert run(JOB, 'kill -TERM $PPID; exit 75')[2] == ['requeue 1234']


def test_script_keeps_spaces_and_quotes_of_values(run):
  job = job_lib.Job(
      'a',
      'c',
      '/w',
      overrides=(('data.sources', "('/a b',)"),),
      environment=(('X', 'a b'),),
  )
  _, output, _ = run(job, 'echo "$X"; printf "<%s>" "$@"')
  assert output.startswith('a b\n')
  assert "<--config.data.sources=('/a b',)>" in output


def test_tasks_find_each_other_by_the_environment_of_slurm(run, tmp_path):
  job = job_lib.Job(
      'a',
      'tests/tiny.py',
      f'{tmp_path}/run',
      # The evaluation on scenes takes most of the time of such a run.
      overrides=(
          ('num_steps', '2'),
          ('eval_every', '100'),
          ('num_eval_scenes', '0'),
      ),
      processes=2,
      platform='cpu',
  )
  code, output, requeued = run(job, SRUN)
  assert code == 0 and not requeued, output
  # Two processes took part, and process 0 alone logs the steps.
  assert output.count('step 2/2') == 1
  assert (tmp_path / 'run' / 'checkpoints' / '2').exists()


def test_plan_gives_each_task_the_gpus_of_its_node():
  job = job_lib.Job('a', 'c', '/w', processes=2, devices=4, platform='gpu')
  (script,) = slurm.plan(job).files.values()
  for line in (
      '#SBATCH --nodes=2',
      '#SBATCH --ntasks-per-node=1',
      '#SBATCH --gpus-per-node=4',
      'export JAX_LOCAL_DEVICE_IDS=0,1,2,3',
  ):
    assert f'\n{line}\n' in script
