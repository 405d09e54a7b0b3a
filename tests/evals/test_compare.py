"""Comparisons of two results clip by clip."""

import os
import re
import shutil

import numpy as np
import pytest

from rvm_jax.evals import compare
from rvm_jax.evals import report
from rvm_jax.evals.scenes import benchmark


def make_rows(shift, seed=0):
  """Returns rows of 50 clips whose scores differ much more than models do."""
  levels = np.random.default_rng(7).normal(40, 20, 50)
  rng = np.random.default_rng(seed)
  return [
      {
          'clip': f'held_out_{i}',
          'num_boxes': i % 4,
          'num_objects': 2,
          'num_pairs': 9,
      }
      | {t.name: levels[i] + shift + rng.normal() for t in benchmark.TASKS}
      for i in range(50)
  ]


def test_differences_far_below_those_between_clips_are_found():
  lines = compare.compare(make_rows(0), make_rows(3, 1))
  for task, line in zip(benchmark.TASKS, lines, strict=True):
    assert line.startswith(task.text)
    assert line.endswith('worse' if task.lower_is_better else 'better')
  lines = compare.compare(make_rows(0), make_rows(0, 1))
  assert (
      sum('no significant difference' in line for line in lines)
      > len(lines) / 2
  )


def test_results_are_read_from_folders_and_others_refused(tmp_path, capsys):
  for name, num, shift in (
      ('a', 50, 0),
      ('b', 50, 3),
      ('c', 40, 0),
      ('d', 50, 0),
  ):
    made = report.Report(
        't',
        's',
        {'s': 1.0},
        make_rows(shift)[:num],
        {},
        (),
        generated='aa' if name in 'abc' else 'bb',
    )
    about = {'benchmark': 'scenes', 'protocol': {'num_test': num}}
    about['model'] = {'checkpoint': name}
    report.write(made, str(tmp_path / name), None, about)

  def folder(name):
    return str(tmp_path / name)

  assert compare.main([folder('a'), folder('b')]) == 0
  printed = capsys.readouterr().out
  assert printed.startswith('second minus first: b a') and '+3.0' in printed
  shutil.copytree(folder('a'), folder('carried'))
  (tmp_path / 'carried' / 'rows.csv').write_text('video,j\nbear,80\n')
  os.mkdir(folder('empty'))
  for name, message in (
      ('c', f'{folder("a")} and {folder("c")} differ in protocol'),
      ('d', 'differ in clips: aa and bb'),
      ('carried', f'{folder("carried")}/rows.csv is not of configs/eval_sce'),
      ('empty', f'No such file or directory: .{folder("empty")}/result.json'),
  ):
    assert compare.main([folder('a'), folder(name)]) == 2
    out, error = capsys.readouterr()
    assert not out and error.startswith('error: ') and error.count('\n') == 1
    assert re.search(message, error), error
  with pytest.raises(ValueError, match='the same clips'):
    compare.compare(make_rows(0), make_rows(0)[:-1])
  with pytest.raises(SystemExit, match='2'):
    compare.main([folder('a')])
