"""Checks a job before anything is launched.

This is the only file of `experiments` that imports rvm_jax, and it imports the
validation of configs alone. Without it, a config that does not fit the devices
would be refused only on the cluster, perhaps hours later.
"""

from collections.abc import Sequence
import difflib
import os

from absl import flags
import ml_collections
from ml_collections import config_flags

from experiments.launchers import job as job_lib
from rvm_jax import config as config_lib


def read_config(
    path: str, overrides: Sequence[tuple[str, str]]
) -> ml_collections.ConfigDict:
  """Returns the config that a run with these overrides would have.

  Args:
    path: path of the config file.
    overrides: (key, value) pairs, as in --config.KEY=VALUE.

  Raises:
    ValueError: the file does not exist, the config lacks a key, or a value has
      the wrong type.
  """
  if not os.path.isfile(path):
    raise ValueError(f'--config={path}: no such file')
  config = _parse(path, [])
  for key, _ in overrides:
    _check_key(config, key)
  try:
    return _parse(path, overrides)
  except (TypeError, ValueError, flags.Error) as error:
    raise ValueError(f'--config={path}: {error}') from error


def _parse(path, overrides):
  """Reads the config as `rvm_jax.main` does, with flags of its own."""
  arguments = ['launch', f'--config={path}']
  arguments += [f'--config.{key}={value}' for key, value in overrides]
  values = flags.FlagValues()
  config_flags.DEFINE_config_file(
      'config', lock_config=True, flag_values=values, sys_argv=arguments
  )
  values(arguments)
  config_lib.check_repeats(values, arguments)
  return values.config


def _check_key(config, key):
  """Raises ValueError if a key does not exist or names a group of settings."""
  group = config
  for part in key.split('.'):
    if not isinstance(group, ml_collections.ConfigDict) or part not in group:
      known = list(group) if hasattr(group, 'keys') else []
      near = difflib.get_close_matches(part, known, 1)
      hint = f'; did you mean {near[0]}?' if near else ''
      raise ValueError(f'--config.{key}: the config has no {part}{hint}')
    group = group[part]
  if isinstance(group, ml_collections.ConfigDict):
    raise ValueError(f'--config.{key} is a group of settings, not one')


def check(job: job_lib.Job):
  """Checks that a job can be launched and that its config fits its devices.

  Args:
    job: the job.

  Raises:
    ValueError: a flag or a setting is wrong. The message names it, its value
      and what is allowed.
  """
  if not job.workdir:
    raise ValueError('--workdir is needed: the folder of the run')
  config_lib.check_workdir(job.workdir)
  for flag, value, least in (
      ('processes', job.processes, 1),
      ('devices', job.devices, 0),
      ('max_restarts', job.max_restarts, 0),
      ('grace_seconds', job.grace_seconds, 1),
      ('backoff_seconds', job.backoff_seconds, 0),
  ):
    if value < least:
      raise ValueError(f'--{flag}={value} must be at least {least}')
  if job.mount is not None:
    claim, _, path = job.mount.partition(':')
    if not claim or not path.startswith('/'):
      raise ValueError(f'--mount={job.mount} must be CLAIM:/PATH')
  if job.platform == 'gpu' and not job.devices:
    raise ValueError(
        '--platform=gpu needs --devices, the number of GPUs of each process'
    )
  config = read_config(job.config, job.overrides)
  # If JAX chooses the devices, their number is not known. A process then counts
  # as having one.
  num_devices = job.processes * max(job.devices, 1)
  try:
    config_lib.validate(config, num_devices)
    if (job.devices or job.topology) and num_devices % config.fsdp:
      raise ValueError(
          f'config.fsdp={config.fsdp} must divide the {num_devices} devices'
      )
  except ValueError as error:
    raise ValueError(
        f'{job.name}: does not fit {job.processes} processes x'
        f' {max(job.devices, 1)} devices: {error}'
    ) from error
