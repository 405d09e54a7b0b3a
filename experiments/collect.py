"""Collects the results of runs in one table.

  python experiments/collect.py runs/source_frames/* [--format=csv]

From each workdir it reads the config and the step of the newest checkpoint, the
last value of each metric in the TensorBoard files, and the headline scores of
results/*/result.json, which `python -m rvm_jax.evals.run
--out=WORKDIR/results/NAME` writes.

Runs that differ only in their seed share a row. The columns are the settings in
which the rows differ, the number of runs, the steps that all of them have done,
and the scores: the mean over the runs and half the width of its 95 % interval
(Student's t; none for a single run). If some runs of a row lack a score, it is
followed by the number of runs that have it.

Exit codes: 0 when the table is printed; 2 when a workdir has no checkpoint, two
results of one task, or a file that cannot be read.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
import csv
import io
import json
import math
import os
import pathlib
import sys
from typing import Any, NamedTuple

from scipy import stats
from tensorboardX.proto import event_pb2

_METRICS = ('train/loss', 'eval/reconstruction/loss')
# Confidence level of the intervals.
_LEVEL = 0.95


class Run(NamedTuple):
  """The config and the results of one run.

  Attributes:
    settings: values of the settings by dotted key, from the newest checkpoint.
    step: number of steps done, which is the step of the newest checkpoint.
    scores: values of metrics and benchmarks, by the names of their columns.
  """

  settings: Mapping[str, Any]
  step: int
  scores: Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
  """Prints the table.

  Args:
    arguments: command-line arguments; None takes those of the process.

  Returns:
    The exit code.
  """
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      'workdirs', nargs='+', metavar='WORKDIR', help='folder of a run'
  )
  parser.add_argument(
      '--metrics',
      nargs='*',
      default=_METRICS,
      help='TensorBoard tags to show (default: %(default)s)',
  )
  parser.add_argument(
      '--format',
      choices=['markdown', 'csv'],
      default='markdown',
      help='format of the table (default: %(default)s)',
  )
  given = parser.parse_args(arguments)
  try:
    runs = [read(path, given.metrics) for path in given.workdirs]
  except (OSError, ValueError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(format_table(make(runs), given.format), end='')
  return 0


def read(workdir: str, metrics: Sequence[str]) -> Run:
  """Reads the config and the results of a run.

  Args:
    workdir: folder of the run.
    metrics: TensorBoard tags to read; those that the run lacks are left out.

  Raises:
    OSError: a file is missing or cannot be read.
    ValueError: the folder has no checkpoint, or two results of one task.
  """
  folder = pathlib.Path(workdir)
  steps = [
      int(path.name)
      for path in folder.glob('checkpoints/*')
      if path.name.isdigit()
  ]
  if not steps:
    raise ValueError(f'{workdir} has no checkpoint of a run')
  path = folder / 'checkpoints' / str(max(steps)) / 'config' / 'metadata'
  settings = dict(flatten(json.loads(path.read_text())))
  shown = last_values(folder)
  scores = {tag: shown[tag] for tag in metrics if tag in shown}
  for path in sorted(folder.glob('results/*/result.json')):
    result = json.loads(path.read_text())
    keys = 'task', 'headline', 'lower_is_better'
    columns = result.get('columns') or [[result[key] for key in keys]]
    for task, headline, _ in columns:
      if task in scores:
        raise ValueError(f'{workdir} has two results of {task}')
      scores[task] = result['scores'][headline]
  return Run(settings, max(steps), scores)


def flatten(settings: Mapping[str, Any], prefix='') -> Iterator[tuple]:
  """Yields (dotted key, value) of nested settings."""
  for key, value in settings.items():
    if isinstance(value, Mapping):
      yield from flatten(value, f'{prefix}{key}.')
    else:
      yield f'{prefix}{key}', value


def last_values(folder: pathlib.Path) -> dict[str, float]:
  """Returns the last value of each scalar in the TensorBoard files of a folder.

  The last value is that of the highest step. If that step was done again after
  a restart, it is the value that was written later.

  Args:
    folder: folder that contains the files.

  Returns:
    The values by tag.
  """
  found = {}
  paths = folder.glob('events.out.tfevents.*')
  for path in sorted(paths, key=lambda path: path.stat().st_mtime):
    for record in _records(path.read_bytes()):
      event = event_pb2.Event.FromString(record)
      for value in event.summary.value:
        if event.step >= found.get(value.tag, (0, 0))[0]:
          found[value.tag] = event.step, value.simple_value
  return {tag: value for tag, (_, value) in found.items()}


def _records(data: bytes) -> Iterator[bytes]:
  """Yields the data of each TFRecord.

  A record consists of the length in 8 bytes, its checksum in 4, the data, and
  their checksum in 4. A last record that a kill has cut off is left out.
  """
  while len(data) >= 16:
    size = int.from_bytes(data[:8], 'little')
    if len(data) < size + 16:
      return
    yield data[12 : 12 + size]
    data = data[16 + size :]


def make(runs: Sequence[Run]) -> list[list[str]]:
  """Makes the table that the docstring of this module describes.

  Args:
    runs: the runs, in the order in which rows and columns come.

  Returns:
    The cells of each row; the first row is the header.
  """
  rows = {}
  for run in runs:
    rest = {key: x for key, x in run.settings.items() if key != 'seed'}
    rows.setdefault(json.dumps(rest, sort_keys=True), []).append(run)
  settings = [group[0].settings for group in rows.values()]
  keys = sorted(set().union(*settings) - {'seed'})
  differing = [
      key
      for key in keys
      if len({json.dumps(each.get(key)) for each in settings}) > 1
  ]
  columns = list(dict.fromkeys(c for run in runs for c in run.scores))
  table = [[*differing, 'runs', 'steps', *columns]]
  for group in rows.values():
    values = [str(group[0].settings.get(key, '-')) for key in differing]
    table.append(
        [
            *values,
            str(len(group)),
            str(min(run.step for run in group)),
            *(_cell(group, column) for column in columns),
        ]
    )
  return table


def _cell(group, column):
  scores = [run.scores[column] for run in group if column in run.scores]
  if not scores:
    return '-'
  mean, half = interval(scores)
  text = f'{mean:.4g}' + ('' if math.isnan(half) else f' ± {half:.2g}')
  if len(scores) < len(group):
    text += f' (of {len(scores)})'
  return text


def interval(scores: Sequence[float]) -> tuple[float, float]:
  """Returns the mean and half the width of its 95 % interval.

  Args:
    scores: one score or more. For a single one, the second number is nan.
  """
  count = len(scores)
  mean = sum(scores) / count
  if count < 2:
    return mean, math.nan
  variance = sum((score - mean) ** 2 for score in scores) / (count - 1)
  quantile = stats.t.ppf((1 + _LEVEL) / 2, count - 1)
  return mean, float(quantile * math.sqrt(variance / count))


def format_table(table: Sequence[Sequence[str]], style: str) -> str:
  """Formats a table.

  Args:
    table: the cells of each row; the first row is the header.
    style: 'markdown' or 'csv'.
  """
  if style == 'csv':
    text = io.StringIO()
    csv.writer(text, lineterminator=os.linesep).writerows(table)
    return text.getvalue()
  header, *rows = table
  lines = [header, ['---'] * len(header), *rows]
  return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


if __name__ == '__main__':
  sys.exit(main())
