"""Tests tables of results, among them one with scores of the RVM paper."""

import json
import re

import pytest

from rvm_jax.evals import table

# Scores of large models in the RVM paper, in four of its eight tasks.
PAPER = {
    'DINOv2-L': (52.2, 36.6, 61.7, 40.6),
    'VideoMAE-L': (62.7, 78.3, 54.3, 18.9),
    'V-JEPA2-L': (67.5, 73.7, 47.5, 17.2),
    'RVM-L': (66.7, 77.3, 66.0, 38.0),
}
TASKS = 'SSv2', 'Perception Test AJ', 'DAVIS J&F', 'VIP mIoU'


def make_result(model, task, score, lower=False, identity='1a', manifest='m'):
  """Makes the result of a model; `lower` says whether lower is better."""
  return {
      'benchmark': 'any',
      'task': task,
      'headline': 'main',
      'lower_is_better': lower,
      'scores': {'main': score, 'other': 5.0},
      'model': {'name': model, 'identity': identity},
      'protocol': {'height': 480},
      'data': {'manifest': manifest},
  }


def rows_of(text):
  """Returns the cells of a table's rows by model, without the heading."""
  lines = [line for line in text.split('\n') if line.startswith('|')]
  cells = [[c.strip() for c in line[1:-1].split('|')] for line in lines]
  return {row[0]: row[1:] for row in cells[2:]}


def test_scores_are_normalised_by_the_best_of_each_task():
  results = [
      make_result(model, task, score)
      for model, scores in PAPER.items()
      for task, score in zip(TASKS, scores)
  ]
  text = table.make(results)
  assert text.startswith(
      '| model | SSv2 | Perception Test AJ | DAVIS J&F | VIP mIoU |'
  )
  rows = rows_of(text)
  assert rows['RVM-L'][:4] == ['66.7', '77.3', '66.0', '38.0']
  for model, scores in PAPER.items():
    best = [max(column) for column in zip(*PAPER.values())]
    mean = 100 * sum(s / b for s, b in zip(scores, best)) / 4
    assert rows[model][-1] == f'{mean:.1f}'
  assert 'comparable' not in text and 'lower' not in text


def test_a_mean_over_some_of_the_tasks_says_so():
  results = [
      make_result('a', 'DAVIS', 50.0),
      make_result('a', 'VIP', 20.0),
      make_result('b', 'VIP', 40.0),
  ]
  rows = rows_of(table.make(results))
  assert rows['a'] == ['50.0', '20.0', '75.0']
  assert rows['b'] == ['-', '40.0', '100.0 (of 1 tasks of 2)']


def test_lower_is_better_is_inverted_and_marked_as_our_choice():
  results = [
      make_result('a', 'AbsRel', 0.08, lower=True),
      make_result('b', 'AbsRel', 0.1, lower=True),
  ]
  text = table.make(results)
  assert rows_of(text) == {'a': ['0.08', '100.0'], 'b': ['0.1', '80.0']}
  assert 'AbsRel: lower is better, normalised as best / score (our' in text


def test_a_best_score_of_zero_is_normalised_to_100():
  results = [make_result('a', 'VIP', 0.0), make_result('b', 'VIP', 0.0)]
  assert rows_of(table.make(results))['b'] == ['0', '100.0']


def test_models_of_one_name_are_told_apart_but_equal_ones_refused():
  one = make_result('RVM-L', 'VIP', 30.0, identity='aa')
  other = make_result('RVM-L', 'VIP', 15.0, identity='bb')
  rows = rows_of(table.make([one, other]))
  assert rows['RVM-L (aa)'] == ['30.0', '100.0']
  assert rows['RVM-L (bb)'] == ['15.0', '50.0']
  with pytest.raises(ValueError, match='VIP has two results of RVM-L aa'):
    table.make([one, one])


def test_results_that_cannot_be_compared_are_named():
  one, other = make_result('a', 'VIP', 1.0), make_result('b', 'VIP', 2.0)
  other['data']['manifest'] = 'another'
  text = table.make([one, other])
  assert 'VIP: not comparable, the results differ in data' in text
  other['protocol'] = {'height': 240}
  assert 'the results differ in protocol' in table.make([one, other])


def test_the_command_prints_a_table_of_files(tmp_path, capsys):
  path = tmp_path / 'result.json'
  path.write_text(json.dumps(make_result('a', 'VIP', 12.5)))
  assert table.main([str(path)]) == 0
  assert rows_of(capsys.readouterr().out) == {'a': ['12.5', '100.0']}
  with pytest.raises(SystemExit, match='2'):
    table.main([])


def test_mistakes_are_printed_in_one_line_with_exit_code_2(tmp_path, capsys):
  good = tmp_path / 'result.json'
  good.write_text(json.dumps(make_result('a', 'VIP', 12.5)))
  texts = {'rows.csv': 'a,b\n', 'list.json': '[1]', 'other.json': '{"task": 3}'}
  for name, text in texts.items():
    (tmp_path / name).write_text(text)
  (tmp_path / 'picture.png').write_bytes(b'\x89PNG')
  for path, message in (
      (tmp_path / 'none.json', 'No such file'),
      (tmp_path, 'Is a directory'),
      (tmp_path / 'rows.csv', 'is not a result.json: Expecting value'),
      (tmp_path / 'picture.png', 'is not a result.json: .* decode'),
      (tmp_path / 'list.json', 'it lacks benchmark, task'),
      (tmp_path / 'other.json', 'it lacks benchmark, headline'),
  ):
    assert table.main([str(good), str(path)]) == 2
    out, error = capsys.readouterr()
    assert not out and error.startswith('error: ') and error.count('\n') == 1
    assert str(path) in error and re.search(message, error), error
  assert table.main([str(good)] * 2) == 2
  assert capsys.readouterr().err.startswith('error: VIP has two results of a')


def test_a_benchmark_of_several_tasks_has_several_columns():
  result = {
      'task': 'A',
      'headline': 'a',
      'lower_is_better': False,
      'columns': [['A', 'a', False], ['B', 'b', True]],
      'scores': {'a': 40.0, 'b': 2.0},
      'protocol': {},
      'data': {'manifest': '0'},
      'model': {'name': 'first', 'identity': '1'},
  }
  second = result | {
      'scores': {'a': 80.0, 'b': 4.0},
      'model': {'name': 'second', 'identity': '2'},
  }
  lines = table.make([result, second]).splitlines()
  assert lines[0] == '| model | A | B | normalised mean |'
  assert lines[2] == '| first | 40.0 | 2 | 75.0 |'
  assert lines[3] == '| second | 80.0 | 4 | 75.0 |'
