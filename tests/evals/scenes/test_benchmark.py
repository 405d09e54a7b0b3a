"""All tasks on a few tiny scenes: the floors, the ceilings, the table."""

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
from rvm_jax.evals.scenes import clips as data
from rvm_jax.evals.scenes import oracle
from rvm_jax.evals.scenes import scores as scores_lib

SMALL = dict(num_train=6, num_test=4, num_workers=0)


def make_protocol():
  protocol = eval_scenes.get_config().protocol.to_dict() | SMALL
  protocol['clips'] |= dict(
      height=32, width=48, num_frames=4, path=8, num_points=5
  )
  return protocol


@pytest.fixture(scope='module')
def record():
  clips = data.Clips('held_out', **make_protocol()['clips'])
  return data.read(clips, range(1))[0]


def stay(truth):
  """Answers of who does not look."""
  return {
      'tracks': truth['tracks'][:, :1].repeat(4, 1),
      'visible': np.ones((5, 4), bool),
      'chance': np.ones((5, 4)),
      'boxes': truth['boxes'][:, :1].repeat(4, 1),
  }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Of the results of the truth."""
  folder = tmp_path_factory.mktemp('scenes')
  run_lib.run(
      'truth:8',
      str(folder / 'out'),
      benchmark='scenes',
      protocol=make_protocol(),
  )
  return folder / 'out'


def test_the_whole_benchmark(folder):
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
    # A row a clip, of which the score is the mean.
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


def test_results_say_what_was_looked_at(folder):
  result = json.loads((folder / 'result.json').read_text())
  assert result['model']['name'] == 'oracle'
  assert result['model']['identity'] == 'truth:8'
  draw = lambda split, num: data.read(
      data.Clips(split, **make_protocol()['clips']), range(num)
  )
  drawn = [*draw('train', 6), *draw('held_out', 4)]
  assert result['data']['manifest'] == data.fingerprint(drawn)


def test_the_truth_scores_full_and_staying_scores_the_floor(record):
  truth = record.example
  label = int(truth['label'])
  score = scores_lib.score_motion
  row = score(truth, {'probabilities': np.eye(8)[label] * 0.9})
  assert row['motion_top1'] == row['motion_direction'] == 100
  other = np.eye(8)[label ^ 1] + 0.1 * np.eye(8)[label]
  row = score(truth, {'probabilities': other})
  assert row['motion_top1'] == row['motion_direction'] == 0
  row = scores_lib.score_points(
      truth, truth | {'chance': truth['visible'].astype(float)}
  )
  assert row['points_aj'] == row['points_occlusion'] == 100
  assert row['points_aj_floor'] < 100
  row = scores_lib.score_points(truth, stay(truth))
  assert row['points_aj'] == row['points_aj_floor']
  row = scores_lib.score_boxes(truth, stay(truth))
  assert row['boxes_iou'] == row['boxes_iou_floor'] < 100
  row = scores_lib.score_boxes(truth, truth)
  assert row['boxes_iou'] == pytest.approx(100)
  typical = {'depth': np.full((32, 48), 2.0), 'pose': np.zeros(12)}
  row = scores_lib.score_depth(typical, truth, truth)
  assert row['depth_abs_rel'] == 0 < row['depth_abs_rel_floor']
  moved = {'pose': truth['pose'] + np.eye(12)[10] / 4}  # 25 cm down.
  row = scores_lib.score_pose(typical, truth, moved)
  assert row['pose_epe'] == pytest.approx(25, rel=1e-5)
  masks = truth['segments']
  row = scores_lib.score_masks(masks, masks, 8)
  assert row['masks_j'] == row['masks_f'] == row['masks_j_and_f'] == 100
  assert row['masks_j_and_f_floor'] < row['masks_j_and_f_ceiling'] < 100


def test_hidden_points_are_ranked_within_frames(record):
  visible = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 0, 1]], bool)
  truth = {'visible': visible, 'tracks': np.zeros((4, 3, 2))}

  def score(chance):
    found = {'chance': chance, 'visible': visible, 'tracks': truth['tracks']}
    return scores_lib.score_points(truth, found)['points_hidden']

  assert score(visible + 0.0) == 100 and score(1 - visible) == 0
  # The later, the likelier hidden: true, but of no use within a frame.
  assert score(-np.arange(3.0)[None].repeat(4, 0)) == 50
  # Frame 1: points 0 and 2 seen, 1 and 3 hidden; frame 2: 2 and 3, 0 and 1.
  chance = np.array([[9, 0.9, 0.4], [9, 0.5, 0.2], [9, 0.3, 0.4], [9, 0.1, 1]])
  assert score(chance) == pytest.approx(100 * (3 + 3.5) / 8)
  truth['visible'] = np.ones((4, 3), bool)
  assert np.isnan(score(chance))


def test_a_scene_without_objects_says_nothing_of_boxes_and_masks(record):
  truth = record.example | {'boxes': np.full((8, 4, 4), np.nan)}
  row = scores_lib.score_boxes(truth, truth)
  assert row['num_boxes'] == 0 and np.isnan(row['boxes_iou'])
  nothing = np.zeros_like(truth['segments'])
  row = scores_lib.score_masks(nothing, nothing, 8)
  assert row['num_objects'] == 0 and np.isnan(row['masks_j_and_f'])


def test_the_truth_as_features_names_what_a_patch_shows(record):
  model = oracle.make(8)
  frames = record.example['frames']
  with pytest.raises(ValueError, match='truth:8 is for configs/eval_scenes'):
    model.encode(frames[None])
  model = model.reveal([record])
  patches = model.encode(np.stack([frames, frames // 2])).patches
  assert not patches[1].any()  # It knows no other clip.
  shares = patches[0, ..., :9] / 3
  np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
  part = record.example['segments'][2, 8:16, 16:24]
  np.testing.assert_allclose(
      shares[2, 1, 2], np.bincount(part.ravel(), minlength=9) / 64, atol=1e-5
  )


@pytest.mark.parametrize('key', ['num_train', 'num_test', 'num_points'])
def test_nothing_to_fit_or_score_is_refused(key):
  protocol = make_protocol()
  (protocol['clips'] if key == 'num_points' else protocol)[key] = 0
  with pytest.raises(ValueError, match=f'{key}=0 must be at least 1'):
    benchmark.evaluate(pixels.make(8), **protocol)


def test_a_row_that_has_no_score_is_written(tmp_path):
  rows = [{'clip': 'a', 'x': float('nan')}]
  made = report.Report('t', 's', {'s': 1.0}, rows, {}, ())
  report.write(made, str(tmp_path / 'out'), None, {})
  assert 'nan' in (tmp_path / 'out/rows.csv').read_text()
