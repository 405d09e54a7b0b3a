"""The suite's table: published scores, differences, and remarks below it."""

import importlib
import json

from rvm_jax.evals import published
from rvm_jax.evals import suite_table


def make_row(model, score, variant='', **changes):
  """Makes the row of a result of the shipped config of DAVIS."""
  config = importlib.import_module('configs.eval_davis').get_config()
  result = {
      'benchmark': 'davis',
      'task': 'DAVIS-2017 J&F',
      'headline': 'j_and_f',
      'lower_is_better': False,
      'scores': {'j_and_f': score, 'j': 99.0},
      'protocol': json.loads(config.protocol.to_json()) | changes,
      'model': {'name': model, 'variant': variant},
  }
  return suite_table.make_row(f'{model}:PATH', 'results/it', result)


def write_table(*rows, failed=(), without_data=None, num_waiting=0):
  """Returns the cells of each row, and the text below the table."""
  contents = {
      'rows': rows,
      'failed': failed,
      'without_data': without_data or {},
      'num_waiting': num_waiting,
  }
  text = suite_table.format_table(contents)
  table, _, below = text.partition('\n\n')
  _, _, *lines = table.strip().split('\n')
  return [[c.strip() for c in x[1:-1].split('|')] for x in lines], below


def test_difference_is_our_score_less_the_published_one():
  below, above = make_row('RVM-L', 65.2), make_row('DINOv2-L', 62.9, 'released')
  assert (below['published'], above['published']) == (66.0, 61.7)
  assert round(below['difference'], 6) == -0.8
  assert round(above['difference'], 6) == 1.2
  assert below['protocol'] == above['protocol'] == 'released'
  rows, remarks = write_table(below, above)
  assert rows[0][:3] == ['DAVIS-2017 J&F', 'RVM-L', '`RVM-L:PATH`']
  assert rows[0][3:] == ['65.2', 'released', '66.0', '-0.8']
  assert rows[1][3:] == ['62.9', 'released', '61.7', '+1.2']
  for row in (below, above):
    assert 'arXiv' in row['source']
    assert f'Published: {row["source"]};' in remarks


def test_other_protocols_have_no_published_score_and_are_explained():
  fair = make_row('DINOv2-L fair', 63.0, 'fair')
  own = make_row('RVM-L', 63.0, height=448)
  assert fair['protocol'] == 'fair' and own['protocol'].startswith('own ')
  for row in (fair, own):
    assert row['published'] is row['difference'] is row['source'] is None
  rows, remarks = write_table(fair, own)
  assert rows[0][4:] == ['fair', '', ''] and rows[1][5:] == ['', '']
  for tag in ('fair', 'own'):
    assert f'Protocol {tag}: {published.MEANINGS[tag]}.' in remarks
  assert 'Protocol released' not in remarks and 'Published' not in remarks


def test_remarks_name_benchmarks_that_failed_wait_or_have_no_data():
  lower = make_row('RVM-L', 66.0) | {'task': 'Error', 'lower_is_better': True}
  failure = {'benchmark': 'vip', 'checkpoint': 'raw:8', 'reason': 'it broke'}
  _, remarks = write_table(
      lower, failed=[failure], without_data={'ssv2': 'no folder'}, num_waiting=3
  )
  assert 'Error: lower is better.' in remarks
  assert 'Failed: vip of `raw:8`: it broke' in remarks
  assert 'Not run: ssv2, no folder.' in remarks
  assert 'Not finished: 3 more' in remarks
  _, remarks = write_table(make_row('RVM-L', 66.0))
  for word in ('lower is better', 'Failed', 'Not run', 'Not finished'):
    assert word not in remarks
