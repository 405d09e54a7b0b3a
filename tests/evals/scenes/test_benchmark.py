"""Tests the benchmark with the oracle and pixels on a few tiny scenes."""

import csv
import json

import numpy as np
import pytest

from configs import eval_scenes
from rvm_jax.evals import report
from rvm_jax.evals import run as run_lib
from rvm_jax.evals import table
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.scenes import benchmark
from rvm_jax.evals.scenes import clips as clips_lib


def make_protocol():
  """Returns the settings of configs/eval_scenes.py with tiny sizes."""
  protocol = eval_scenes.get_config().protocol.to_dict()
  protocol |= dict(num_train=6, num_test=4, num_workers=0)
  protocol['clips'] |= dict(
      height=32, width=48, num_frames=4, path=8, num_points=5
  )
  return protocol


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """The folder with the oracle's results."""
  folder = tmp_path_factory.mktemp('scenes') / 'out'
  protocol = make_protocol()
  run_lib.run('truth:8', str(folder), benchmark='scenes', protocol=protocol)
  return folder


def test_scores_are_weighted_means_of_rows_within_their_intervals(folder):
  result = json.loads((folder / 'result.json').read_text())
  scores = result['scores']
  with open(folder / 'rows.csv', encoding='utf-8') as f:
    rows = list(csv.DictReader(f))
  assert [r['clip'] for r in rows] == [f'held_out_{i}' for i in range(4)]
  assert len(list(folder.glob('picture_*.png'))) == 5 * 4
  for task in benchmark.TASKS:
    low, score, high = (
        scores[task.name + end] for end in ('_low', '', '_high')
    )
    assert low <= score <= high
    values = np.array([float(r[task.name]) for r in rows])
    weights = np.isfinite(values) * np.array(
        [float(r[task.weight]) if task.weight else 1 for r in rows]
    )
    values = np.nan_to_num(values)
    np.testing.assert_allclose(score, np.average(values, weights=weights))
    assert f'Scenes {task.text}' in table.make([result])
    lines = benchmark.tabulate(scores)
    assert any(task.text in line for line in lines)
  assert scores['motion_top1_floor'] == 12.5
  assert scores['masks_j_and_f_floor'] < scores['masks_j_and_f_ceiling'] - 1
  stay = np.array([float(row['masks_j_and_f_stay']) for row in rows])
  nums = np.array([float(row['num_objects']) for row in rows])
  stay = np.average(np.nan_to_num(stay), weights=nums)
  np.testing.assert_allclose(scores['masks_j_and_f_stay'], stay)
  (line,) = [x for x in lines if 'at full resolution' in x]
  assert f'{stay:.1f} ' in line


def test_a_result_names_the_encoder_and_hashes_the_clips(folder):
  result = json.loads((folder / 'result.json').read_text())
  assert result['model']['name'] == 'oracle'
  assert result['model']['identity'] == 'truth:8'
  examples = []
  for split, num_clips in (('train', 6), ('held_out', 4)):
    clips = clips_lib.SceneClips(split, **make_protocol()['clips'])
    examples += clips_lib.generate(clips, range(num_clips))
  assert result['data']['manifest'] == clips_lib.fingerprint(examples)


def test_summarise_gives_nan_for_a_task_in_which_no_clip_has_a_score():
  row = {'clip': 'a'}
  for task in benchmark.TASKS:
    row |= {task.name: 2.0, f'{task.name}_floor': 1.0}
    row |= {task.weight: 3} if task.weight else {}
  nothing = {'boxes_iou': np.nan, 'boxes_iou_floor': np.nan, 'num_boxes': 0}
  scores = benchmark.summarise([row | nothing] * 2)
  for task in benchmark.TASKS:
    found = [scores[f'{task.name}{end}'] for end in ('', '_low', '_floor')]
    if task.name == 'boxes_iou':
      assert np.isnan(found).all()
    else:
      assert found == [2, 2, 1]


@pytest.mark.parametrize('key', ['num_train', 'num_test', 'num_points'])
def test_numbers_below_one_are_refused(key):
  protocol = make_protocol()
  (protocol['clips'] if key == 'num_points' else protocol)[key] = 0
  with pytest.raises(ValueError, match=f'{key}=0 must be at least 1'):
    benchmark.evaluate(pixels.make(8), **protocol)


def test_write_accepts_a_row_without_a_score(tmp_path):
  rows = [{'clip': 'a', 'x': float('nan')}]
  made = report.Report('t', 's', {'s': 1.0}, rows, {}, ())
  report.write(made, str(tmp_path / 'out'), None, {})
  assert 'nan' in (tmp_path / 'out/rows.csv').read_text()
