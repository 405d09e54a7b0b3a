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
  """Returns rows of 50 clips.

  Scores differ between clips by about 20, and between models by `shift` and
  noise of about 1.

  Args:
    shift: difference from the scores of other models.
    seed: seed of the noise.
  """
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


def test_small_differences_between_models_are_found_in_spite_of_the_clips():
  lines = compare.compare(make_rows(0), make_rows(3, 1))
  for task, line in zip(benchmark.TASKS, lines, strict=True):
    assert line.startswith(task.text)
    assert line.endswith('worse' if task.lower_is_better else 'better')
  lines = compare.compare(make_rows(0), make_rows(0, 1))
  assert (
      sum('no significant difference' in line for line in lines)
      > len(lines) / 2
  )


def test_folders_are_compared_unless_more_than_the_model_differs(
    tmp_path, capsys
):
  # Results by the name of their folder, with a number of clips and a shift of
  # the scores. 'd' has other clips than 'a'.
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
  assert printed.startswith('Differences: b minus a') and '+3.0' in printed
  shutil.copytree(folder('a'), folder('davis'))
  (tmp_path / 'davis' / 'rows.csv').write_text('video,j\nbear,80\n')
  os.mkdir(folder('empty'))
  for name, message in (
      ('c', f'{folder("a")} and {folder("c")} differ in protocol'),
      ('d', 'differ in clips: aa and bb'),
      ('davis', f'{folder("davis")}/rows.csv is not from a run of configs/eva'),
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
