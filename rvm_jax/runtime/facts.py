"""What all processes of a run must have in common before they start.

A fact is a text with a name, such as the value of a setting.
"""

from collections.abc import Mapping
import os
import pathlib

import jax
import ml_collections

from rvm_jax.storage import fingerprints
from rvm_jax.storage import settings

# Number of differing facts that a message names.
_MAX_NAMED = 3


def of_run(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike[str]
) -> dict[str, str]:
  """Returns the facts about config and code, which need no devices and no data.

  Args:
    config: the run's config.
    workdir: folder of the run.

  Returns:
    Facts by name: the settings, the absolute path of the workdir, the version
    of JAX, and a hash of each Python file of this package.
  """
  package = pathlib.Path(__file__).parents[1]
  return (
      {
          f'config.{key}': value
          for key, value in settings.flatten(config.to_dict()).items()
      }
      | {
          '--workdir': os.path.abspath(workdir),
          'version of jax': jax.__version__,
      }
      | {
          f'rvm_jax/{path.relative_to(package)}': fingerprints.hash_parts(
              [path.read_bytes()]
          )
          for path in sorted(package.rglob('*.py'))
      }
  )


def compare(everywhere: Mapping[int, Mapping[str, str]]) -> str:
  """Returns a line that says which facts differ, or '' if none do.

  Args:
    everywhere: facts of each process, by the number of the process.
  """
  names = sorted({name for facts in everywhere.values() for name in facts})
  differences = []
  for name in names:
    # The processes that have each value of this fact, in ascending order.
    holders: dict[str, list[int]] = {}
    for process in sorted(everywhere):
      value = everywhere[process].get(name, 'nothing')
      holders.setdefault(value, []).append(process)
    if len(holders) > 1:
      differences.append(
          f'{name}: '
          + ', '.join(
              f'{_name(processes)} has {value}'
              for value, processes in holders.items()
          )
      )
  if not differences:
    return ''
  left = len(differences) - _MAX_NAMED
  more = f'; and {left} more' if left > 0 else ''
  return (
      'the processes of the run differ in '
      + '; '.join(differences[:_MAX_NAMED])
      + more
  )


def _name(processes: list[int]) -> str:
  """Returns 'process 3', or 'process 3 (and 5 others)' if there are more."""
  others = len(processes) - 1
  if not others:
    return f'process {processes[0]}'
  return f'process {processes[0]} (and {others} other{"s" * (others > 1)})'
