"""Makes a table of results: a row for each model, a column for each task.

  python -m rvm_jax.evals.table results/*/result.json

The last column is the normalised mean of the RVM paper (arXiv 2512.13684): each
score as a percentage of the best one in its column, averaged over the tasks in
which the model has a score. A cell says so if its model lacks the scores of
some tasks. Normalised means of different tables cannot be compared. Where lower
is better, the percentage is best / score; that is our choice, because the paper
does not say what it does.

Exit code: 0 done; 2 a file is not a result, or a model has two results of one
task.
"""

import argparse
from collections.abc import Mapping, Sequence
import json
import sys
from typing import Any

# Keys that a file must have to be taken for a result.
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
  """Prints the table that the command line asks for; returns the exit code.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.
  """
  parser = argparse.ArgumentParser(
      prog='python -m rvm_jax.evals.table',
      description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument(
      'results', nargs='+', metavar='RESULT', help='path of a result.json'
  )
  try:
    table = make([read(path) for path in parser.parse_args(arguments).results])
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(table)
  return 0


def read(path: str) -> dict[str, Any]:
  """Reads a file `result.json`, described in `evals.run`.

  Args:
    path: path of the file.

  Raises:
    OSError: the file cannot be read.
    ValueError: the file is not a result.
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
  """Makes a table, and remarks below it that its reader must know.

  Args:
    results: contents of files `result.json`, as returned by `read`.

  Returns:
    The table and the remarks, as Markdown.

  Raises:
    ValueError: a model has two results of one task.
  """
  # From here on, `results` has one entry for each task of each result.
  results = [column for result in results for column in split(result)]
  tasks = list(dict.fromkeys(r['task'] for r in results))
  models = dict.fromkeys(_model(r) for r in results)
  found = {}
  for result in results:
    key = _model(result), result['task']
    if key in found:
      raise ValueError(
          f'{key[1]} has two results of {" ".join(key[0])}: give only one of'
          ' them'
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
      cells.append(format_score(_score(result)) if result else '-')
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


def split(result: Mapping[str, Any]) -> list[dict[str, Any]]:
  """Splits the result of a benchmark into one result for each of its tasks.

  Args:
    result: contents of a file `result.json`.

  Returns:
    Copies of the result that differ in 'task', 'headline' and
    'lower_is_better'; a single one if the benchmark has one task.
  """
  keys = 'task', 'headline', 'lower_is_better'
  columns = result.get('columns') or [[result[key] for key in keys]]
  return [result | dict(zip(keys, column)) for column in columns]


def _remarks(results, tasks):
  """Says where lower is better, and which results cannot be compared."""
  lines = []
  for task in tasks:
    column = [r for r in results if r['task'] == task]
    if column[0]['lower_is_better']:
      lines.append(
          f'{task}: lower is better, normalised as best / score (our choice)'
      )
    for what, values in (
        ('protocol', [r['protocol'] for r in column]),
        ('data', [r['data']['manifest'] for r in column]),
    ):
      if any(value != values[0] for value in values):
        lines.append(f'{task}: not comparable, the results differ in {what}')
  return [f'\n{line}' for line in lines]


def _model(result):
  return result['model']['name'], result['model']['identity']


def _score(result):
  return result['scores'][result['headline']]


def _share(result, column):
  """Returns a score as a share of the best one in its column, at most 1."""
  score, scores = _score(result), [_score(r) for r in column]
  if result['lower_is_better']:
    best = min(scores)
    return 1.0 if score == best else best / score
  best = max(scores)
  return 1.0 if score == best else score / best


def format_score(score: float) -> str:
  """Returns a score as text, with one decimal or three significant digits.

  Args:
    score: the score; from 10 on it gets one decimal.
  """
  return f'{score:.1f}' if score >= 10 else f'{score:.3g}'


def _line(cells):
  return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
  sys.exit(main())
