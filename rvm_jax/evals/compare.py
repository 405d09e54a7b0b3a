"""Two models on the same generated scenes: by how much the second is better.

  python -m rvm_jax.evals.compare results/first results/second

Takes folders of `rvm_jax.evals.run` with configs/eval_scenes.py. Differences
are paired: scenes that are hard for both do not widen the 95 % intervals.

Exit code: 0 done; 2 a folder is not such a result, or they differ in more than
the model.
"""

import argparse
from collections.abc import Mapping, Sequence
import csv
import os
import sys
from typing import Any

import numpy as np

from rvm_jax.evals import table
from rvm_jax.evals.metrics import intervals
from rvm_jax.evals.scenes import benchmark


def main(arguments: Sequence[str] | None = None) -> int:
  """Compares what `arguments` name; returns the exit code."""
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.compare',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('first', help='folder of a result')
  parser.add_argument('second', help='of the one that may be better')
  options = parser.parse_args(arguments)
  try:
    lines = compare_folders(options.first, options.second)
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  for line in lines:
    print(line)
  return 0


def compare_folders(*folders: str) -> list[str]:
  """A line that names both models, and those of `compare`.

  Raises:
    OSError: one of them has no result.
    ValueError: one is of something else, or both are of different things.
  """
  results, rows = zip(*map(read, folders))
  for what, value in (
      ('benchmark', lambda result: result['benchmark']),
      ('protocol', lambda result: result['protocol']),
      ('clips', lambda result: result['data']['manifest']),
  ):
    if value(results[0]) != value(results[1]):
      raise ValueError(
          f'{folders[0]} and {folders[1]} differ in {what}:'
          f' {value(results[0])} and {value(results[1])}'
      )
  first, second = (result['model']['checkpoint'] for result in results)
  return [f'second minus first: {second} {first}', *compare(*rows)]


def read(folder: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
  """`result.json` and the rows of `rows.csv`.

  Raises:
    OSError: one of them is not there.
    ValueError: they are not of generated scenes.
  """
  result = table.read(os.path.join(folder, 'result.json'))
  path = os.path.join(folder, 'rows.csv')
  with open(path, encoding='utf-8') as f:
    reader = csv.DictReader(f)
    rows = list(reader)
  needed = ['clip', *(task.name for task in benchmark.TASKS)]
  needed += [task.weight for task in benchmark.TASKS if task.weight]
  missing = [key for key in needed if key not in (reader.fieldnames or ())]
  if missing:
    raise ValueError(
        f'{path} is not of configs/eval_scenes.py: it lacks'
        f' {", ".join(missing)}'
    )
  return result, rows


def compare(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> list[str]:
  """A line for each task of `scenes.benchmark`.

  Args:
    first, second: rows of the same clips.

  Raises:
    ValueError: they are of other clips.
  """
  if [r['clip'] for r in first] != [r['clip'] for r in second]:
    raise ValueError('both results must be of the same clips')
  lines = []
  for task in benchmark.TASKS:
    column = lambda rows, key: np.array([row[key] for row in rows], float)
    weights = column(first, task.weight) if task.weight else None
    values = column(first, task.name), column(second, task.name)
    gain, low, high = intervals.difference(*values, weights)
    if low <= 0 <= high:
      verdict = 'no difference to tell'
    else:
      is_better = (gain < 0) == task.lower_is_better
      verdict = 'better' if is_better else 'worse'
    lines.append(
        f'{task.text:30s} {gain:+6.1f}  {low:+6.1f} to {high:+6.1f}  {verdict}'
    )
  return lines


if __name__ == '__main__':
  sys.exit(main())
