"""Reads sweeps: files with a generator `sweep()` of overrides for each job."""

from collections.abc import Mapping
import dataclasses
import os
import re
import runpy
from typing import Any

from experiments.launchers import job as job_lib


def read(path: str) -> list[dict[str, Any]]:
  """Returns the dicts that the generator `sweep()` of a file yields.

  Args:
    path: path of the file.

  Returns:
    For each job, the values of the settings that it overrides, by dotted key.

  Raises:
    ValueError: the file or the function does not exist, or the function yields
      nothing, an empty dict, or something that is not a dict.
  """
  if not os.path.isfile(path):
    raise ValueError(f'--sweep={path}: no such file')
  names = runpy.run_path(path)
  if 'sweep' not in names:
    raise ValueError(f'--sweep={path}: it has no function sweep()')
  found = list(names['sweep']())
  if not found:
    raise ValueError(f'--sweep={path}: sweep() yields nothing')
  for overrides in found:
    if not isinstance(overrides, Mapping) or not overrides:
      raise ValueError(
          f'--sweep={path}: sweep() must yield dicts of key and value, got'
          f' {overrides!r}'
      )
  return found


def jobs(base: job_lib.Job, path: str | None) -> list[job_lib.Job]:
  """Returns a job for each dict of overrides of a sweep.

  The name and the workdir of a job are those of `base`, followed by its
  overrides.

  Args:
    base: the job without the sweep's overrides.
    path: path of the sweep; None returns `base` alone.

  Raises:
    ValueError: the sweep cannot be read, sets a key that the command line sets
      too, or yields the same overrides twice.
  """
  if path is None:
    return [base]
  found = {}
  for overrides in read(path):
    pairs = tuple((key, str(value)) for key, value in overrides.items())
    twice = dict(pairs).keys() & dict(base.overrides).keys()
    if twice:
      raise ValueError(
          f'--sweep={path} sets {", ".join(sorted(twice))}, which the command'
          ' line sets too'
      )
    ending = folder_name(pairs)
    if ending in found:
      raise ValueError(f'--sweep={path}: two jobs are named {ending}')
    found[ending] = dataclasses.replace(
        base,
        name=f'{base.name}-{ending}',
        workdir=os.path.join(base.workdir, ending),
        overrides=base.overrides + pairs,
    )
  return list(found.values())


def folder_name(pairs: tuple[tuple[str, str], ...]) -> str:
  """Returns a folder name made of overrides.

  Args:
    pairs: (key, value) pairs, such as ('data.num_source', '1').

  Returns:
    The name, such as 'data.num_source=1,seed=0'. Characters that have a meaning
    for a shell or a cluster are replaced by '-'.
  """
  name = ','.join(f'{key}={value}' for key, value in pairs)
  return re.sub(r'[^\w.,=+-]+', '-', name)
