r"""Compares objectives at equal clips and at equal FLOPs, on generated scenes.

  python -m benchmarks.objectives --out=runs/objectives

All runs have the encoder, the optimizer and the data of configs/rvm_demo.py,
except for what `VARIANTS` and the configs named there change. Each variant is
trained with two budgets and several seeds: on as many clips as RVM (budget
'clips'), and for as many steps as cost the FLOPs of RVM's run (budget 'flops';
the objectives count them). If both budgets give the same number of steps, there
is one run for both. configs/eval_scenes.py then scores each encoder.

`python -m rvm_jax.main` trains the runs one at a time and seed by seed, so that
the comparison is complete after each seed. This process scores them and
generates the benchmark's clips once. If the command is stopped, the same
command continues and skips what is done. After each run it writes the table to
--out/table.md: mean scores over the seeds, and each variant's scores minus
those of RVM, paired by clip and averaged over the seeds that both have, with a
95 % interval over clips.
"""

import argparse
from collections.abc import Iterator, Sequence
import importlib
import os
import pathlib
import sys
from typing import NamedTuple

import numpy as np

from benchmarks import training
from configs import eval_scenes
from rvm_jax.evals import compare
from rvm_jax.evals import run as evaluation
from rvm_jax.evals.metrics import intervals
from rvm_jax.evals.scenes import benchmark
from rvm_jax.training import objectives

# RVM without what makes the demo fast: as in the paper, the decoder is not told
# where source tokens are, and most of a target is hidden (90 %; 95 % in the
# paper). The other two values were chosen for this setting.
_PAPER: dict[str, int | float | str] = {
    'model.content_first': False,
    'mask_ratio': 0.9,
    'optimizer.learning_rate': 4e-3,
    'optimizer.core_weight_decay': 1.5,
}
# For each variant the name of its config, and the settings that are changed.
VARIANTS: dict[str, tuple[str, dict[str, int | float | str]]] = {
    'rvm': ('rvm_demo', _PAPER),
    'rvm, 1 source frame': ('rvm_demo', _PAPER | {'data.num_source': 1}),
    'rvm, attention for core': ('rvm_demo', _PAPER | {'objective': 'joint'}),
    'siammae': ('siammae_demo', {}),
    'videomae': ('videomae_demo', {}),
    'vjepa': ('vjepa_demo', {}),
}
# The variant that the others are compared with.
REFERENCE = 'rvm'
BUDGETS = ('clips', 'flops')


class Run(NamedTuple):
  """A run of a variant.

  Attributes:
    variant: key of `VARIANTS`.
    seed: seed of the run.
    num_steps: number of steps.
    workdir: folder of the run. The scores are in a folder inside.
  """

  variant: str
  seed: int
  num_steps: int
  workdir: pathlib.Path

  @property
  def result(self) -> pathlib.Path:
    """Folder of the scores, which exists once the run is scored."""
    return self.workdir / 'results' / 'scenes'


def main(arguments: Sequence[str] | None = None) -> int:
  """Trains and scores all runs that are not done; returns the exit code.

  Args:
    arguments: the command line without the program's name; None reads
      `sys.argv`.
  """
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      '--out', required=True, type=pathlib.Path, help='folder for everything'
  )
  parser.add_argument('--num_steps', type=int, default=600, help="RVM's steps")
  parser.add_argument('--seeds', type=int, default=3, help='number of seeds')
  parser.add_argument(
      '--only', nargs='*', choices=VARIANTS, default=list(VARIANTS)
  )
  parser.add_argument('--budgets', nargs='*', choices=BUDGETS, default=BUDGETS)
  parser.add_argument(
      '--num_clips',
      nargs=2,
      type=int,
      metavar=('TRAIN', 'TEST'),
      help="clips of each scoring; those of the benchmark's config by default",
  )
  options = parser.parse_args(arguments)
  if min(options.num_steps, options.seeds, *(options.num_clips or ())) < 1:
    parser.error('--num_steps, --seeds and --num_clips must be at least 1')
  costs = {name: count_flops(name) for name in VARIANTS}
  runs = list(
      plan(options.out, options.num_steps, options.seeds, costs, options.only)
  )
  wanted = [run for budget, run in runs if budget in options.budgets]
  for run in dict.fromkeys(wanted):
    if not run.result.exists():
      train(run)
      score(run, options.num_clips)
    report(options.out, runs, costs)
  return 0


def make_config(variant: str):
  """Returns the config of a variant."""
  name, changes = VARIANTS[variant]
  config = importlib.import_module(f'configs.{name}').get_config()
  config.update_from_flattened_dict(changes)
  return config


def count_flops(variant: str) -> float:
  """Returns the FLOPs of a training step of a variant for one clip."""
  return objectives.from_config(make_config(variant)).flops_per_clip


def plan(
    out: pathlib.Path,
    num_steps: int,
    num_seeds: int,
    costs: dict[str, float],
    variants: Sequence[str],
) -> Iterator[tuple[str, Run]]:
  """Yields pairs of a budget and a run, in the order in which runs are done.

  Args:
    out: folder in which each run has its workdir.
    num_steps: number of steps of the reference.
    num_seeds: number of seeds, which are 0, 1, ...
    costs: FLOPs of a training step for one clip, by variant.
    variants: the variants to run.
  """
  for seed in range(num_seeds):
    for budget in BUDGETS:
      for variant in variants:
        steps = num_steps
        if budget == 'flops':
          steps = round(num_steps * costs[REFERENCE] / costs[variant])
        name = f'{variant}_{steps}_{seed}'.replace(', ', '_').replace(' ', '_')
        yield budget, Run(variant, seed, steps, out / name)


def train(run: Run):
  """Trains a run, or continues its training."""
  config, changes = VARIANTS[run.variant]
  settings = {
      'seed': run.seed,
      'num_steps': run.num_steps,
      'num_eval_scenes': 0,
      'eval_every': run.num_steps,
      **changes,
  }
  training.train(config, run.workdir, settings)


def score(run: Run, num_clips: Sequence[int] | None):
  """Scores the encoder of a run.

  Args:
    run: the run, which has been trained.
    num_clips: number of training clips and of test clips; None for those of
      configs/eval_scenes.py.
  """
  config = eval_scenes.get_config()
  if num_clips:
    config.protocol.num_train, config.protocol.num_test = num_clips
  evaluation.run(
      os.fspath(run.workdir), os.fspath(run.result), **config.to_dict()
  )


def report(
    out: pathlib.Path,
    runs: Sequence[tuple[str, Run]],
    costs: dict[str, float],
):
  """Writes the table of the runs that are scored so far.

  Args:
    out: folder of the table.
    runs: pairs of a budget and a run, as `plan` yields them.
    costs: FLOPs of a training step for one clip, by variant.
  """
  found = {
      run: compare.read(os.fspath(run.result))
      for _, run in runs
      if run.result.exists()
  }
  lines = []
  for budget in BUDGETS:
    # The scored runs of this budget by variant and seed.
    groups = {}
    for _, run in (each for each in runs if each[0] == budget):
      if run in found:
        groups.setdefault(run.variant, {})[run.seed] = run
    if groups:
      lines += [f'Equal {budget}:', '', *_scores(groups, found, costs), '']
    if REFERENCE in groups and len(groups) > 1:
      lines += [f'Minus {REFERENCE}, paired by clip:', '']
      lines += [*_differences(groups, found), '']
  (out / 'table.md').write_text('\n'.join(lines))


def _scores(groups, found, costs):
  """Yields the rows of the table of seeds, steps, FLOPs and mean scores."""
  yield _row(['task', *groups])
  yield _row(['---'] * (1 + len(groups)))
  first = {name: next(iter(runs.values())) for name, runs in groups.items()}
  batch = {name: make_config(name).data.batch_size for name in groups}
  yield _row(['seeds', *(str(len(runs)) for runs in groups.values())])
  yield _row(['steps', *(str(run.num_steps) for run in first.values())])
  yield _row(
      [
          'TFLOP of training',
          *(
              f'{costs[name] * batch[name] * run.num_steps / 1e12:.2f}'
              for name, run in first.items()
          ),
      ]
  )
  for task in benchmark.TASKS:
    cells = []
    for runs in groups.values():
      scores = [found[run][0]['scores'][task.name] for run in runs.values()]
      spread = f' ({min(scores):.1f} to {max(scores):.1f})'
      cells.append(f'{np.mean(scores):.1f}' + spread * (len(scores) > 1))
    yield _row([_name(task), *cells])


def _differences(groups, found):
  """Yields the rows of the table of differences from the reference."""
  others = [name for name in groups if name != REFERENCE]
  yield _row(['task', *others])
  yield _row(['---'] * (1 + len(others)))
  for task in benchmark.TASKS:
    cells = []
    for name in others:
      seeds = sorted(groups[name].keys() & groups[REFERENCE].keys())
      if not seeds:
        cells.append('-')
        continue
      # The score of each clip, averaged over the seeds.
      first, second = (
          np.mean(
              [_column(found[groups[key][seed]], task.name) for seed in seeds],
              axis=0,
          )
          for key in (REFERENCE, name)
      )
      weights = task.weight and _column(
          found[groups[name][seeds[0]]], task.weight
      )
      gain, low, high = intervals.difference(first, second, weights)
      cells.append(f'{gain:+.1f} ({low:+.1f} to {high:+.1f})')
    yield _row([_name(task), *cells])


def _column(result, key):
  """Returns the values of a column of `rows.csv`, float [clips]."""
  return np.array([row[key] for row in result[1]], float)


def _name(task):
  """Returns the name of a task, with the direction if lower is better."""
  return task.text + ', lower is better' * task.lower_is_better


def _row(cells):
  """Returns a row of a Markdown table."""
  return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
  sys.exit(main())
