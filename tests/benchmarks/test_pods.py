"""Tests of the table of every size on every slice."""

import json

from benchmarks import pods
from rvm_jax.training.plan import topologies

NUMBERS = {
    'settings': {'remat': 'dots', 'fsdp': 1, 'num_microbatches': 2},
    'memory': {'total': 12.34e9},
    'memory_limit': 33.5e9,
    'model_seconds': 0.01,
    'least_seconds': 0.02,
    'estimated_seconds': None,
    'reduced_share': 1.0,
    'program': {
        'hbm_bytes': 5e9,
        'parts': [{'name': 'encoder/mlp', 'hbm_bytes': 2e9, 'seconds': 0.0}],
    },
    'versions': {'jax': '0.10.2'},
}


def test_every_slice_of_the_table_exists():
  for name in pods.SLICES.values():
    assert topologies.find(name).num_devices > 1


def test_table_says_which_cells_are_not_compiled(tmp_path, monkeypatch):
  monkeypatch.setattr(pods, 'RESULTS', tmp_path)
  lines = pods.make_table().splitlines()
  assert len(lines) == 2 + len(pods.CELLS)
  assert all('not compiled' in line for line in lines[2:])
  assert {line.count('|') for line in lines} == {len(pods.COLUMNS) + 1}


def test_compiled_cell_shows_its_numbers(tmp_path, monkeypatch):
  monkeypatch.setattr(pods, 'RESULTS', tmp_path)
  (tmp_path / 'large.8xh100.json').write_text(json.dumps(NUMBERS))
  table = pods.make_table()
  assert (
      '| L | 8xh100 | dots, 1, 2 | 12.3 of 33.5 | 5.0 | 20.0 | 50% |'
      ' no estimate | 1.00 |'
  ) in table
  assert '| L | 8xh100 | encoder/mlp 2.0 GB |' in table
  assert 'jax 0.10.2' in table


def test_page_has_the_table_of_the_results():
  text = pods.PAGE.read_text()
  page = text.split(pods.BEGIN)[1].split(pods.END)[0].strip()
  assert page == pods.make_table()
