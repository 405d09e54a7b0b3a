"""All tasks on a few tiny scenes: the floors, the ceilings, the table."""

import csv
import json

import jax
import numpy as np
import pytest

from configs import eval_scenes
from rvm_jax.evals import report
from rvm_jax.evals import run as run_lib
from rvm_jax.evals import table
from rvm_jax.evals.benchmarks import readout
from rvm_jax.evals.benchmarks import scenes
from rvm_jax.evals.datasets import scenes as data

SMALL = dict(num_train=8, num_test=4, num_workers=0, width=8)


def make_protocol(**changes):
  protocol = eval_scenes.get_config().protocol.to_dict() | SMALL | changes
  protocol['clips'] |= dict(size=32, num_frames=4, path=8, num_points=5)
  protocol['training'] |= dict(
      num_steps=2, warmup_steps=1, batch_size=4, save_every=2
  )
  return protocol


def run(folder, **changes):
  return run_lib.run(
      'raw:8', str(folder / 'out'), str(folder / 'work'), benchmark='scenes',
      protocol=make_protocol(**changes),
  )


def guess(model, head, train, test, metric, *, features, **settings):
  """In place of `readout.evaluate`: a head as it is before it is fitted."""
  assert len(train) == 8 and settings['examples']['train']['held_out']

  @jax.jit
  def predict(features, batch):
    params = head.init(jax.random.key(0), features, batch)
    return head.decode(head.apply(params, features, batch), batch)

  rows, shown = [], []
  for record in test:
    truth = record.read(None)
    frames = truth.pop('frames')[None]
    encoded = model.encode(frames).patches.reshape(1, len(frames[0]), 16, -1)
    batch = {key: np.asarray(value)[None] for key, value in truth.items()}
    found = {k: np.array(x[0]) for k, x in predict(encoded, batch).items()}
    rows.append(metric.score(record, truth, found))
    shown.append(readout.Shown(record.name, record.read(None), found))
  assert metric.headline in metric.summarise(rows)
  return readout.Result({}, rows, shown, ['a guess'])


def test_the_whole_benchmark(tmp_path, monkeypatch):
  monkeypatch.setattr(readout, 'evaluate', guess)
  found = run(tmp_path)
  result = json.loads((tmp_path / 'out/result.json').read_text())
  scores = result['scores']
  assert scores == found.scores
  with open(tmp_path / 'out/rows.csv', encoding='utf-8') as f:
    rows = list(csv.DictReader(f))
  assert [r['clip'] for r in rows] == [f'held_out_{i}' for i in range(4)]
  assert len(list((tmp_path / 'out').glob('picture_*.png'))) == 5 * 4
  for task in scenes.TASKS:
    low, score, high = (
        scores[task.name + end] for end in ('_low', '', '_high')
    )
    assert low <= score <= high
    # A row a clip, of which the score is the mean.
    weights = [float(r[task.weight]) if task.weight else 1 for r in rows]
    values = [float(r[task.name]) for r in rows]
    np.testing.assert_allclose(score, np.average(values, weights=weights))
    assert any(task.text in line for line in found.lines)
    assert f'Scenes {task.text}' in table.make([result])
  assert scores['motion_top1_floor'] == 12.5
  # Heads start from the floor.
  assert scores['points_aj'] == pytest.approx(scores['points_aj_floor'], abs=1)
  assert scores['boxes_iou'] == pytest.approx(scores['boxes_iou_floor'])
  assert scores['masks_j_and_f_ceiling'] > scores['masks_j_and_f_floor']


def make_record():
  clips = data.Clips('held_out', **make_protocol()['clips'])
  (record,) = data.read(clips, 1, 0)
  return record


def test_the_truth_scores_full_and_staying_scores_the_floor():
  record = make_record()
  truth = record.example
  label = int(truth['label'])
  row = scenes._score_motion(
      record, truth, {'probabilities': np.eye(8)[label] * 0.9}
  )
  assert row['motion_top1'] == row['motion_direction'] == 100
  other = np.eye(8)[label ^ 1] + 0.1 * np.eye(8)[label]
  row = scenes._score_motion(record, truth, {'probabilities': other})
  assert row['motion_top1'] == row['motion_direction'] == 0
  row = scenes._score_points(record, truth, truth)
  assert row['points_aj'] == row['points_occlusion'] == 100
  assert row['points_aj_floor'] < 100
  stay = np.broadcast_to(truth['boxes'][:, :1], truth['boxes'].shape)
  row = scenes._score_boxes(record, truth, {'boxes': stay})
  assert row['boxes_iou'] == row['boxes_iou_floor'] < 100
  row = scenes._score_boxes(record, truth, truth)
  assert row['boxes_iou'] == pytest.approx(100)
  typical = {'depth': np.full((32, 32), 2.0), 'pose': np.zeros(12)}
  assert scenes._score_depth(typical, record, truth, truth)[
      'depth_abs_rel'
  ] == 0
  moved = {'pose': truth['pose'] + np.eye(12)[10] / 4}  # 25 cm down.
  row = scenes._score_pose(typical, record, truth, moved)
  assert row['pose_epe'] == pytest.approx(25, rel=1e-5)
  masks = scenes._score_masks(
      truth['segments'], truth['segments'], [1]
  )
  assert masks == {'j': 100, 'f': 100, 'j_and_f': 100}


def test_a_scene_without_objects_says_nothing_of_boxes_and_masks():
  record = make_record()
  truth = record.example | {'boxes': np.full((8, 4, 4), np.nan)}
  row = scenes._score_boxes(record, truth, truth)
  assert row['num_boxes'] == 0 and np.isnan(row['boxes_iou'])
  masks = scenes._score_masks(truth['segments'], truth['segments'], [])
  assert np.isnan(masks['j'])


def test_the_truth_as_features_names_what_a_patch_shows():
  record = make_record()
  model = scenes.know_all([record], 8)
  frames = record.example['frames']
  patches = model.encode(np.stack([frames, frames // 2])).patches
  assert not patches[1].any()  # It knows no other clip.
  shares = patches[0, ..., :9] / 3
  np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
  part = record.example['segments'][2, 8:16, 16:24]
  np.testing.assert_allclose(
      shares[2, 1, 2], np.bincount(part.ravel(), minlength=9) / 64, atol=1e-5
  )


def test_a_row_that_has_no_score_is_written(tmp_path):
  rows = [{'clip': 'a', 'x': float('nan')}]
  made = report.Report('t', 's', {'s': 1.0}, rows, {}, ())
  report.write(made, str(tmp_path / 'out'), None, {})
  assert 'nan' in (tmp_path / 'out/rows.csv').read_text()
