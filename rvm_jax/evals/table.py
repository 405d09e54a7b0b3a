"""Folds results into one table: a row a model, a column a task.

  python -m rvm_jax.evals.table results/*/result.json

The last column is the paper's normalised mean: each score as a percentage of
the best in its column, averaged over the tasks that the model has a score in;
it says so where these are not all. It compares rows of one table only. Where
lower is better, the percentage is best / score: our choice, as the paper's is
not known.

Exit code: 0 done; 2 a file is not such a result, or there are two of one thing.
"""

import argparse
from collections.abc import Mapping, Sequence
import json
import sys
from typing import Any

# Of a result, what is read here and in `compare`.
_KEYS = (
    'benchmark',
    'task',
    'headline',
    'lower_is_better',
    'scores',
    'protocol',
    'model',
    'data',
)


def main(arguments: Sequence[str] | None = None) -> int:
  """Prints the table that `arguments` ask for; returns the exit code."""
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.table',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('results', nargs='+', metavar='RESULT')
  try:
    table = make([read(path) for path in parser.parse_args(arguments).results])
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(table)
  return 0


def read(path: str) -> dict[str, Any]:
  """What a file `result.json` holds, see `run`.

  Raises:
    OSError: there is none at `path`.
    ValueError: it is something else.
  """
  with open(path, encoding='utf-8') as f:
    try:
      result = json.load(f)
    except ValueError as error:
      raise ValueError(f'{path} is not a result.json: {error}') from error
  held = result if isinstance(result, dict) else {}
  missing = [key for key in _KEYS if key not in held]
  if missing:
    raise ValueError(
        f'{path} is not a result.json: it lacks {", ".join(missing)}'
    )
  return result


def make(results: Sequence[Mapping[str, Any]]) -> str:
  """A markdown table, and below it what its reader must know.

  Args:
    results: what files `result.json` hold, see `run`.

  Raises:
    ValueError: two results of one model and task.
  """
  results = [column for result in results for column in _split(result)]
  tasks = list(dict.fromkeys(r['task'] for r in results))
  models = dict.fromkeys(_model(r) for r in results)
  found = {}
  for result in results:
    key = _model(result), result['task']
    if key in found:
      raise ValueError(
          f'{key[1]} has two results of {" ".join(key[0])}: take one of them'
      )
    found[key] = result
  names = [name for name, _ in models]
  lines = [_line(['model', *tasks, 'normalised mean'])]
  lines.append(_line(['---'] * (len(tasks) + 2)))
  for model in models:
    cells, shares = [], []
    for task in tasks:
      column = [r for r in results if r['task'] == task]
      result = found.get((model, task))
      cells.append(_format(_score(result)) if result else '-')
      if result:
        shares.append(_share(result, column))
    name, identity = model
    if names.count(name) > 1:
      name = f'{name} ({identity})'
    mean = f'{100 * sum(shares) / len(shares):.1f}'
    if len(shares) < len(tasks):
      mean += f' (of {len(shares)} tasks of {len(tasks)})'
    lines.append(_line([name, *cells, mean]))
  return '\n'.join(lines + _remarks(results, tasks))


def _split(result):
  """A result for each task of a benchmark that has several."""
  keys = 'task', 'headline', 'lower_is_better'
  columns = result.get('columns') or [[result[key] for key in keys]]
  return [result | dict(zip(keys, column)) for column in columns]


def _remarks(results, tasks):
  lines = []
  for task in tasks:
    column = [r for r in results if r['task'] == task]
    if column[0]['lower_is_better']:
      lines.append(
          f'{task}: lower is better, normalised as best / score (our choice)'
      )
    for what, value in (
        ('protocol', lambda r: r['protocol']),
        ('data', lambda r: r['data']['manifest']),
    ):
      if any(value(r) != value(column[0]) for r in column):
        lines.append(f'{task}: not comparable, the results differ in {what}')
  return [f'\n{line}' for line in lines]


def _model(result):
  return result['model']['name'], result['model']['identity']


def _score(result):
  return result['scores'][result['headline']]


def _share(result, column):
  """The score as a share of the best in the column, at most 1."""
  score, scores = _score(result), [_score(r) for r in column]
  if result['lower_is_better']:
    best = min(scores)
    return 1.0 if score == best else best / score
  best = max(scores)
  return 1.0 if score == best else score / best


def _format(score):
  return f'{score:.1f}' if score >= 10 else f'{score:.3g}'


def _line(cells):
  return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
  sys.exit(main())
