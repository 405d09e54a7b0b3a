r"""Launches a run, or a sweep of runs, on this machine or on a cluster.

  python experiments/launch.py --backend=local --config=configs/rvm_demo.py \
      --workdir=runs/demo --config.num_steps=400

Settings of the run are given as for `rvm_jax.main`, by --config.KEY=VALUE. With
--dry_run nothing is started: files and commands are printed instead of being
written and run. docs/running.md has a command for each kind of machine. Run
them in the folder of the repository, to which all paths are relative.

Exit code of --backend=local: that of the run (0: done; 75: stopped, and all is
saved; 76: start it again; 1: a mistake of the user), for a sweep the first that
is not 0. Exit code of the other back ends: 0 when all jobs are submitted, 1
after a mistake of the user.
"""

import os
import pathlib
import shlex
import subprocess
import sys

# Python looks for modules in the folder of a script. The packages `experiments`
# and `rvm_jax` are in the folder above.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from absl import app
from absl import flags

from experiments.launchers import checks
from experiments.launchers import gcluster
from experiments.launchers import gke
from experiments.launchers import job as job_lib
from experiments.launchers import local
from experiments.launchers import sky
from experiments.launchers import slurm
from experiments.launchers import sweep as sweep_lib
from experiments.launchers import tpu as tpu_lib
from experiments.launchers import tpu_vm
from experiments.launchers import xm
from experiments.launchers import xpk

BACKENDS = {
    'local': local.plan,
    'slurm': slurm.plan,
    'gke': gke.plan,
    'xpk': xpk.plan,
    'gcluster': gcluster.plan,
    'sky': sky.plan,
    'tpu_vm': tpu_vm.plan,
    'xm': xm.plan,
}
_SETTING = '--config.'

_BACKEND = flags.DEFINE_string(
    'backend', 'local', f'Where to run: one of {", ".join(BACKENDS)}.'
)
_CONFIG = flags.DEFINE_string(
    'config', None, 'Config of the run, such as configs/rvm_base.py.'
)
_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Folder of the run, on a disk that all its hosts share.'
)
_SWEEP = flags.DEFINE_string(
    'sweep',
    None,
    'Sweep, such as experiments/sweeps/seeds.py: one job for each dict of'
    ' overrides that it yields.',
)
_DRY_RUN = flags.DEFINE_bool(
    'dry_run', False, 'Prints the files and commands, and starts nothing.'
)
_NAME = flags.DEFINE_string(
    'name', None, "Name of the job (default: the config's file name)."
)
_PROCESSES = flags.DEFINE_integer(
    'processes',
    None,
    'Number of processes (default: 1). Except with --backend=local there is one'
    ' on each host.',
)
_DEVICES = flags.DEFINE_integer(
    'devices', None, 'Devices of each process (default: all that JAX finds).'
)
_PLATFORM = flags.DEFINE_enum(
    'platform', None, ['cpu', 'gpu', 'tpu'], 'Devices (default: JAX decides).'
)
_TOPOLOGY = flags.DEFINE_string(
    'topology', None, 'TPU slice, VERSION:TOPOLOGY such as v5e:4x4.'
)
_ACCELERATOR = flags.DEFINE_string(
    'accelerator', None, "Type of GPU, by the cluster's name for it."
)
_IMAGE = flags.DEFINE_string('image', None, 'Container image, see Dockerfile.')
_ENV = flags.DEFINE_multi_string('env', [], 'Environment variable NAME=VALUE')
_MAX_RESTARTS = flags.DEFINE_integer(
    'max_restarts', 10, 'Number of restarts after which the job is given up.'
)
_GRACE_SECONDS = flags.DEFINE_integer(
    'grace_seconds',
    300,
    'Seconds from the signal to stop until processes are killed. Saving a'
    ' checkpoint must take less.',
)
_BACKOFF_SECONDS = flags.DEFINE_float(
    'backoff_seconds',
    5.0,
    'Seconds before the first restart; each further wait is twice as long'
    ' (--backend=local only).',
)
_SPOT = flags.DEFINE_bool(
    'spot', False, 'Uses machines that may be taken away at any time.'
)
_CLUSTER = flags.DEFINE_string('cluster', None, 'Name of the GKE cluster.')
_PROJECT = flags.DEFINE_string('project', None, 'Google Cloud project.')
_ZONE = flags.DEFINE_string('zone', None, 'Google Cloud zone or region.')
_QUEUE = flags.DEFINE_string(
    'queue', None, 'Local queue of Kueue, or partition of Slurm.'
)
_TIME_LIMIT = flags.DEFINE_string(
    'time_limit', None, "Slurm's time limit, such as 2-00:00:00."
)
_MOUNT = flags.DEFINE_string(
    'mount', None, 'CLAIM:/PATH, a persistent volume claim and its mount point.'
)
_PROFILE_STEPS = flags.DEFINE_string(
    'profile_steps', None, 'FIRST:LAST, the steps that are profiled.'
)
_EXTRA = flags.DEFINE_multi_string(
    'extra', [], 'Argument that the back end passes on unchanged'
)


def main(argv: list[str]) -> int:
  """Launches what the flags ask for; returns the exit code."""
  try:
    jobs = sweep_lib.jobs(read_job(argv[1:]), _SWEEP.value)
    if _BACKEND.value not in BACKENDS:
      raise ValueError(
          f'--backend={_BACKEND.value} is not known; it must be one of'
          f' {", ".join(BACKENDS)}'
      )
    for job in jobs:
      checks.check(job)
    # All jobs are planned before the first one starts, so that a mistake in one
    # of them starts none.
    plans = [BACKENDS[_BACKEND.value](job) for job in jobs]
    if _DRY_RUN.value:
      for plan in plans:
        show(plan)
      return 0
    if _BACKEND.value == 'local':
      return run_here(jobs)
    for plan in plans:
      submit(plan)
  except ValueError as error:
    print(f'error: {error}', file=sys.stderr)
    return 1
  return 0


def read_job(arguments: list[str]) -> job_lib.Job:
  """Returns the job that the flags describe.

  Args:
    arguments: arguments that are not flags. Only settings of the run,
      --config.KEY=VALUE, are allowed.

  Raises:
    ValueError: a flag is missing, has a wrong form, or contradicts another one.
  """
  for name, value in (('config', _CONFIG.value), ('workdir', _WORKDIR.value)):
    if not value:
      raise ValueError(f'--{name} is needed')
  overrides = tuple(read_pair(text, _SETTING) for text in arguments)
  processes, devices, platform = (
      _PROCESSES.value,
      _DEVICES.value,
      _PLATFORM.value,
  )
  topology = None
  if _TOPOLOGY.value:
    topology = tpu_lib.parse(_TOPOLOGY.value)
    # The topology determines the numbers of hosts and devices.
    for flag, given, has in (
        ('processes', processes, topology.hosts),
        ('devices', devices, topology.devices_per_host),
        ('platform', platform, 'tpu'),
    ):
      if given not in (None, has):
        raise ValueError(
            f'--{flag}={given} does not fit --topology={_TOPOLOGY.value}, which'
            f' has {has}; leave the flag out'
        )
    processes, devices = topology.hosts, topology.devices_per_host
    platform = 'tpu'
  return job_lib.Job(
      name=_NAME.value or pathlib.Path(_CONFIG.value).stem,
      config=_CONFIG.value,
      workdir=_WORKDIR.value,
      overrides=overrides,
      processes=1 if processes is None else processes,
      devices=0 if devices is None else devices,
      platform=platform,
      topology=topology,
      accelerator=_ACCELERATOR.value,
      image=_IMAGE.value,
      environment=tuple(read_pair(text, '--env=') for text in _ENV.value),
      max_restarts=_MAX_RESTARTS.value,
      grace_seconds=_GRACE_SECONDS.value,
      backoff_seconds=_BACKOFF_SECONDS.value,
      spot=_SPOT.value,
      cluster=_CLUSTER.value,
      project=_PROJECT.value,
      zone=_ZONE.value,
      queue=_QUEUE.value,
      time_limit=_TIME_LIMIT.value,
      mount=_MOUNT.value,
      profile_steps=_PROFILE_STEPS.value,
      extra=tuple(_EXTRA.value),
  )


def read_pair(text: str, prefix: str) -> tuple[str, str]:
  """Splits 'KEY=VALUE', which may have a prefix such as '--env='.

  Raises:
    ValueError: the text has another form.
  """
  key, equals, value = text.removeprefix(prefix).partition('=')
  if not equals or not key or key.startswith('-'):
    raise ValueError(f'{text} must be {prefix}KEY=VALUE')
  return key, value


def show(plan: job_lib.Plan):
  """Prints the files and commands of a plan."""
  for path, text in plan.files.items():
    print(f'# {path}\n{text}')
  for command in plan.commands:
    print(f'$ {shlex.join(command)}')


def submit(plan: job_lib.Plan):
  """Writes the files and runs the commands of a plan.

  Raises:
    ValueError: a command is not installed or fails.
  """
  for path, text in plan.files.items():
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pathlib.Path(path).write_text(text)
  for command in plan.commands:
    try:
      subprocess.run(command, check=True)
    except FileNotFoundError as error:
      raise ValueError(f'{command[0]} is not installed here') from error
    except subprocess.CalledProcessError as error:
      raise ValueError(
          f'{command[0]} ended with exit code {error.returncode}'
      ) from error


def run_here(jobs: list[job_lib.Job]) -> int:
  """Runs jobs on this machine, one after the other, until a signal comes.

  Returns:
    The first exit code that is not 0; 0 if there is none.
  """
  stop, first = local.Stop(), 0
  for job in jobs:
    code = local.run(job, stop)
    first = first or code
    if len(jobs) > 1:
      print(f'[launch] {job.name}: exit code {code}', flush=True)
    if stop.count:
      break
  return first


def _parse(argv: list[str]) -> list[str]:
  """Parses flags; returns settings of the run among the other arguments."""
  settings = [text for text in argv if text.startswith(_SETTING)]
  rest = [text for text in argv if not text.startswith(_SETTING)]
  name, *arguments = app.parse_flags_with_usage(rest)
  return [name, *settings, *arguments]


if __name__ == '__main__':
  app.run(main, flags_parser=_parse)
