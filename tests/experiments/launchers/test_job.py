"""Jobs: names that clusters take, and the command of a process."""

import re

import pytest

from experiments.launchers import job as job_lib
from rvm_jax.runtime import exit_codes


@pytest.mark.parametrize(
    'name',
    ['rvm_large', 'a-data.num_source=1,seed=0', 'X' * 200, '0', 'a--', '-'],
)
def test_label_is_a_name_that_kubernetes_takes(name):
  label = job_lib.Job(name, 'c', '/w').label
  assert re.fullmatch(r'[a-z]([-a-z0-9]*[a-z0-9])?', label)
  assert len(label) <= 40


def test_label_keeps_names_apart():
  names = ['a.b', 'a,b', 'A.b', 'x' * 50, 'x' * 51, 'a-b']
  labels = {job_lib.Job(name, 'c', '/w').label for name in names}
  assert len(labels) == len(names)


def test_train_command_holds_overrides_and_the_place_of_the_process():
  job = job_lib.Job(
      'a',
      'c.py',
      '/w',
      overrides=(('data.min_gap', '2'),),
      profile_steps='3:4',
  )
  assert job_lib.train_command(job, coordinator='h:1', process_id=0) == [
      'python',
      '-m',
      'rvm_jax.main',
      '--config=c.py',
      '--workdir=/w',
      '--config.data.min_gap=2',
      '--profile_steps=3:4',
      '--coordinator=h:1',
      '--process_id=0',
  ]


@pytest.mark.parametrize(
    'platform, name', [('cpu', 'cpu'), ('gpu', 'cuda'), ('tpu', 'tpu')]
)
def test_environment_names_one_platform_alone(platform, name):
  job = job_lib.Job('a', 'c', '/w', platform=platform)
  assert job_lib.environment(job) == {'JAX_PLATFORMS': name}


def test_environment_of_the_job_comes_before_what_is_added():
  given = (('JAX_PLATFORMS', 'rocm'),)
  job = job_lib.Job('a', 'c', '/w', platform='gpu', environment=given)
  assert job_lib.environment(job) == {'JAX_PLATFORMS': 'rocm'}


def test_exit_codes_are_those_of_the_runs():
  # Launchers do not import rvm_jax, so that they state the numbers once more.
  assert job_lib.PREEMPTED == exit_codes.PREEMPTED
  assert job_lib.RESTART == exit_codes.RESTART
  ends = {exit_codes.DONE, exit_codes.ERROR}
  assert not ends & set(job_lib.RESTART_CODES)
