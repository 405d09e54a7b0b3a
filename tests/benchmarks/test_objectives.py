"""Tests of the comparison of objectives: budgets, folders and the table."""

import csv
import json

import pytest

from benchmarks import objectives
from rvm_jax.evals.scenes import benchmark

COSTS = {'rvm': 8e8, 'siammae': 2e8}


def make_plan(out, seeds=2):
  return list(objectives.plan(out, 100, seeds, COSTS, list(COSTS)))


def test_budgets_are_equal_steps_and_equal_flops(tmp_path):
  steps = {
      (budget, run.variant, run.seed): run.num_steps
      for budget, run in make_plan(tmp_path)
  }
  for seed in range(2):
    assert steps['clips', 'rvm', seed] == steps['clips', 'siammae', seed] == 100
    assert steps['flops', 'rvm', seed] == 100
    assert steps['flops', 'siammae', seed] == 400


def test_runs_that_both_budgets_need_are_done_once(tmp_path):
  runs = dict.fromkeys(run for _, run in make_plan(tmp_path))
  assert len(runs) == 2 * 3
  assert len({run.workdir for run in runs}) == 2 * 3


def test_every_variant_has_a_config_and_a_cost():
  for name in objectives.VARIANTS:
    assert objectives.count_flops(name) > 0
    assert objectives.make_config(name).model.width == 96


def write_result(run, score):
  """Writes a result of four clips that score `score` and 1, 2 and 3 more."""
  run.result.mkdir(parents=True)
  names = [task.name for task in benchmark.TASKS]
  weights = [task.weight for task in benchmark.TASKS if task.weight]
  about = {
      'benchmark': 'scenes',
      'task': 'masks',
      'headline': 'masks_j_and_f',
      'lower_is_better': False,
      'scores': dict.fromkeys(names, score),
      'protocol': {},
      'model': {},
      'data': {},
  }
  (run.result / 'result.json').write_text(json.dumps(about))
  with (run.result / 'rows.csv').open('w') as f:
    rows = csv.DictWriter(f, ['clip', *names, *weights])
    rows.writeheader()
    for clip in range(4):
      row = dict.fromkeys(names, score + clip) | dict.fromkeys(weights, 1)
      rows.writerow({'clip': clip, **row})


@pytest.mark.parametrize('num_done', [1, 4])
def test_table_has_what_is_done_and_paired_differences(tmp_path, num_done):
  runs = make_plan(tmp_path)
  scores = {'rvm': 20.0, 'siammae': 30.0}
  done = [run for budget, run in runs if budget == 'clips'][:num_done]
  for run in done:
    write_result(run, scores[run.variant] + run.seed)
  objectives.report(tmp_path, runs, COSTS)
  text = (tmp_path / 'table.md').read_text()
  if num_done == 1:
    assert 'Minus' not in text and '| steps | 100 |' in text
    return
  # Seeds 0 and 1 differ by one, the objectives by ten.
  assert '20.5 (20.0 to 21.0) | 30.5 (30.0 to 31.0) |' in text
  assert '| masks, J&F (%) | +10.0 (+10.0 to +10.0) |' in text
  assert '| TFLOP of training | 0.64 | 0.16 |' in text


def test_no_run_is_started_for_counts_below_one(tmp_path, capsys):
  out = tmp_path / 'runs'
  for flag in ('--num_steps=0', '--seeds=0', '--num_clips=0'):
    counts = ['8'] * flag.startswith('--num_clips')
    with pytest.raises(SystemExit):
      objectives.main([f'--out={out}', *flag.split('='), *counts])
    assert 'must be at least 1' in capsys.readouterr().err
  assert not out.exists()
