"""Compares two models on the same generated scenes.

  python -m rvm_jax.evals.compare results/first results/second

Takes two result folders that `rvm_jax.evals.run` wrote with
configs/eval_scenes.py. Prints for each task the second model's score minus the
first one's, the 95 % interval of this difference, and whether the second model
is better. Differences are paired: scenes that are hard for both models do not
widen the intervals.

Exit code: 0 done; 2 a folder holds no result of configs/eval_scenes.py, or the
results differ in more than the model.
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
  """Compares the results that the command line names.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.

  Returns:
    The exit code.
  """
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.compare',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('first', help="folder of the first model's result")
  parser.add_argument('second', help="folder of the second model's result")
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
  """Compares two results.

  Args:
    *folders: folders of the first and the second result.

  Returns:
    A line that names both models, and the lines of `compare`.

  Raises:
    OSError: a folder has no result.
    ValueError: a result is not of generated scenes, or the results differ in
      protocol or clips.
  """
  results, rows = zip(*map(read, folders))
  for what, values in (
      ('benchmark', [result['benchmark'] for result in results]),
      ('protocol', [result['protocol'] for result in results]),
      ('clips', [result['data']['manifest'] for result in results]),
  ):
    if values[0] != values[1]:
      raise ValueError(
          f'{folders[0]} and {folders[1]} differ in {what}:'
          f' {values[0]} and {values[1]}'
      )
  first, second = (result['model']['checkpoint'] for result in results)
  return [f'Differences: {second} minus {first}', *compare(*rows)]


def read(folder: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
  """Reads the two files of a result on generated scenes.

  Args:
    folder: folder of the result.

  Returns:
    The contents of `result.json`, and the rows of `rows.csv`.

  Raises:
    OSError: one of the files cannot be read.
    ValueError: the result is not of generated scenes.
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
        f'{path} is not from a run of configs/eval_scenes.py: it lacks the'
        f' columns {", ".join(missing)}'
    )
  return result, rows


def compare(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> list[str]:
  """Compares two models clip by clip.

  Args:
    first: the first model's rows of `rows.csv`, one for each clip.
    second: the second model's rows, of the same clips in the same order.

  Returns:
    A line for each task of `scenes.benchmark`: the difference, its interval,
    and whether the second model is better.

  Raises:
    ValueError: the rows are of different clips, or in another order.
  """

  def column(rows, key):
    return np.array([row[key] for row in rows], float)

  if [r['clip'] for r in first] != [r['clip'] for r in second]:
    raise ValueError(
        'both results must have rows of the same clips in the same order'
    )
  lines = []
  for task in benchmark.TASKS:
    weights = column(first, task.weight) if task.weight else None
    values = column(first, task.name), column(second, task.name)
    gain, low, high = intervals.difference(*values, weights)
    if low <= 0 <= high:
      verdict = 'no significant difference'
    else:
      is_better = (gain < 0) == task.lower_is_better
      verdict = 'better' if is_better else 'worse'
    lines.append(
        f'{task.text:30s} {gain:+6.1f}  {low:+6.1f} to {high:+6.1f}  {verdict}'
    )
  return lines


if __name__ == '__main__':
  sys.exit(main())
