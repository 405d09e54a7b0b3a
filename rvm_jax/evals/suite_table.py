"""The table of the suite: scores, protocols, and published scores beside them.

`rvm_jax.evals.suite` writes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rvm_jax.evals import published
from rvm_jax.evals import table


def make_row(
    checkpoint: str, folder: str, result: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the row of a checkpoint and a task.

  Args:
    checkpoint: name of the encoder, as it was given.
    folder: folder of the result, relative to the folder of the table.
    result: contents of a file `result.json`, reduced to one task by
      `table.split`.
  """
  score = result['scores'][result['headline']]
  known = published.find(result)
  return {
      'benchmark': result['benchmark'],
      'task': result['task'],
      'model': result['model']['name'],
      'checkpoint': checkpoint,
      'score': score,
      'lower_is_better': result['lower_is_better'],
      'protocol': published.tag(result),
      'published': known and known.value,
      'difference': known and score - known.value,
      'source': known and known.source,
      'result': folder,
  }


def format_table(contents: Mapping[str, Any]) -> str:
  """Returns the table as Markdown, with remarks below it.

  Args:
    contents: contents of the file `table.json`. 'rows' is a list of rows, as
      `make_row` returns them; 'failed' is a list of dicts with 'benchmark',
      'checkpoint' and 'reason'; 'without_data' is a dict of the reasons why
      benchmarks were not run, by their names; and 'num_waiting' is the number
      of results that are still to be computed.
  """
  titles = 'task', 'model', 'checkpoint', 'score', 'protocol'
  titles += 'published', 'difference'
  lines = [_line(titles), _line(['---'] * len(titles))]
  for row in contents['rows']:
    cells = [row['task'], row['model'], f'`{row["checkpoint"]}`']
    cells += [table.format_score(row['score']), row['protocol']]
    if row['published'] is None:
      cells += ['', '']
    else:
      cells.append(table.format_score(row['published']))
      cells.append(f'{row["difference"]:+.1f}')
    lines.append(_line(cells))
  tags = {row['protocol'].split()[0] for row in contents['rows']}
  for tag, meaning in published.MEANINGS.items():
    if tag in tags:
      lines.append(f'\nProtocol {tag}: {meaning}.')
  lower = {r['task'] for r in contents['rows'] if r['lower_is_better']}
  lines += [f'\n{task}: lower is better.' for task in sorted(lower)]
  sources = {row['source'] for row in contents['rows'] if row['source']}
  lines += [
      f'\nPublished: {source}; for a model of the same name, whose weights may'
      ' be others.'
      for source in sorted(sources)
  ]
  for name, reason in contents['without_data'].items():
    lines.append(f'\nNot run: {name}, {reason}.')
  for failure in contents['failed']:
    lines.append(
        f'\nFailed: {failure["benchmark"]} of `{failure["checkpoint"]}`:'
        f' {failure["reason"]}'
    )
  if contents['num_waiting']:
    lines.append(
        f'\nNot finished: {contents["num_waiting"]} more; run the same command'
        ' again to compute them.'
    )
  return '\n'.join(lines) + '\n'


def _line(cells: Sequence[str]) -> str:
  return f'| {" | ".join(cells)} |'
