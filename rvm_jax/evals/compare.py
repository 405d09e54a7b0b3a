"""Two models on the same generated scenes: by how much the second is better.

  python -m rvm_jax.evals.compare results/first results/second

Takes folders of `rvm_jax.evals.run` with configs/eval_scenes.py. Differences
are paired: scenes that are hard for both do not widen the 95 % intervals.
"""

from collections.abc import Mapping, Sequence
import csv
import json
import os
import sys
from typing import Any

import numpy as np

from rvm_jax.evals.benchmarks import scenes
from rvm_jax.evals.metrics import intervals


def main(folders: Sequence[str]):
  if len(folders) != 2:
    sys.exit(__doc__)
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
  names = [result['model']['checkpoint'] for result in results]
  print('second minus first:', *names[::-1])
  for line in compare(*rows):
    print(line)


def read(folder: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
  """`result.json` and the rows of `rows.csv`."""
  open_ = lambda name: open(os.path.join(folder, name), encoding='utf-8')
  with open_('result.json') as f:
    result = json.load(f)
  with open_('rows.csv') as f:
    return result, list(csv.DictReader(f))


def compare(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> list[str]:
  """A line for each task of `benchmarks.scenes`.

  Args:
    first, second: rows of the same clips.

  Raises:
    ValueError: they are of other clips.
  """
  if [r['clip'] for r in first] != [r['clip'] for r in second]:
    raise ValueError('both results must be of the same clips')
  lines = []
  for task in scenes.TASKS:
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
  main(sys.argv[1:])
