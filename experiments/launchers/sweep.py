"""Sweeps: a file with a generator `sweep()` of overrides, one dict a job."""

from collections.abc import Mapping
import dataclasses
import os
import re
import runpy
from typing import Any

from experiments.launchers import job as job_lib


def read(path: str) -> list[dict[str, Any]]:
  """Returns what the generator `sweep()` of the file at `path` yields.

  Raises:
    ValueError: there is no such file or function, it yields nothing, something
      that is not a dict of overrides, or one thing twice.
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
  """Returns a job for each of a sweep's overrides; without a sweep, `base`.

  Name and workdir of a job are those of `base`, followed by its overrides.

  Raises:
    ValueError: see `read`; or a sweep sets what the command line sets too.
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
  """Returns (('data.num_source', '1'), ('seed', '0')) as one name of a folder.

  That is 'data.num_source=1,seed=0'; characters that a shell or a cluster would
  read as something else become '-'.
  """
  name = ','.join(f'{key}={value}' for key, value in pairs)
  return re.sub(r'[^\w.,=+-]+', '-', name)
