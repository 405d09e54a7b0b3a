"""Collects runs into one table: a row a config, seeds folded into an interval.

  python experiments/collect.py runs/source_frames/* [--format=csv]

Of each workdir it reads the config and the step of the newest checkpoint, the
last value of each metric in the TensorBoard files, and the headline scores of
results/*/result.json, which `python -m rvm_jax.evals.run
--out=WORKDIR/results/NAME` writes.

Runs that differ in nothing but their seed are one row. The columns are the
settings in which the rows differ, the number of runs, the steps that all have
done, and the scores: the mean of the runs and half of its 95 % interval
(Student's t; none for a single run). A score that some runs of a row lack says
of how many it is.

Exit code: 0 done; 2 a workdir is not one, or holds no checkpoint yet.
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
_LEVEL = 0.95


class Run(NamedTuple):
  """What is read of a workdir.

  Attributes:
    settings: value by dotted key, as the newest checkpoint holds them.
    step: steps done, by the newest checkpoint.
    scores: value by column name.
  """

  settings: Mapping[str, Any]
  step: int
  scores: Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
  """Prints the table that `arguments` ask for; returns the exit code."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('workdirs', nargs='+', metavar='WORKDIR')
  parser.add_argument(
      '--metrics', nargs='*', default=_METRICS, help='tags of TensorBoard'
  )
  parser.add_argument(
      '--format', choices=['markdown', 'csv'], default='markdown'
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
  """Returns what a workdir holds.

  Args:
    workdir: folder of a run.
    metrics: TensorBoard tags to read; those that it lacks are left out.

  Raises:
    ValueError: it has no whole checkpoint.
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

  The last is that of the highest step; where a step was done again after a
  restart, the later one counts.
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
  """Yields TFRecords: 8 bytes of length, 4 of checksum, the data, 4 more.

  A record that a kill has cut off is left out.
  """
  while len(data) >= 16:
    size = int.from_bytes(data[:8], 'little')
    if len(data) < size + 16:
      return
    yield data[12 : 12 + size]
    data = data[16 + size :]


def make(runs: Sequence[Run]) -> list[list[str]]:
  """Returns the rows of the table, the header first; see the top."""
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
  """Returns the mean and half of its 95 % interval, nan for a single score."""
  count = len(scores)
  mean = sum(scores) / count
  if count < 2:
    return mean, math.nan
  variance = sum((score - mean) ** 2 for score in scores) / (count - 1)
  quantile = stats.t.ppf((1 + _LEVEL) / 2, count - 1)
  return mean, float(quantile * math.sqrt(variance / count))


def format_table(table: Sequence[Sequence[str]], style: str) -> str:
  """Returns the table as Markdown or CSV, the header first."""
  if style == 'csv':
    text = io.StringIO()
    csv.writer(text, lineterminator=os.linesep).writerows(table)
    return text.getvalue()
  header, *rows = table
  lines = [header, ['---'] * len(header), *rows]
  return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


if __name__ == '__main__':
  sys.exit(main())
