"""Tests which frames and joints of JHMDB count, and how scores average."""

import functools

import numpy as np
import pytest
from scipy import io

from rvm_jax.evals.benchmarks import jhmdb as jhmdb_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.propagation import joints as joints_lib

THRESHOLDS = 0.1, 0.4
evaluate = functools.partial(
    jhmdb_lib.evaluate,
    pixels.make(8),
    height=48,
    width=64,
    thresholds=THRESHOLDS,
    propagation=dict(num_context=2, temperature=0.7, top_k=1, radius=20),
)


def test_evaluate_follows_joints_of_constant_colour(jhmdb):
  root, poses = jhmdb
  report = evaluate(str(root))
  assert report.scores['pck_0.4'] == 100
  # The bumps of other joints reach a joint's patch and shift the prediction.
  assert 20 < report.scores['pck_0.1'] < 100
  assert report.headline == 'pck_0.1' and report.task == 'JHMDB PCK@0.1'
  assert not report.notes and sorted(report.pictures) == sorted(poses)
  assert [row['num_frames'] for row in report.rows] == [5, 5, 5]
  assert len(report.files) == 2 + 3 * (6 + 1)


def test_evaluate_averages_over_the_joints_that_are_predicted(
    jhmdb, monkeypatch
):
  root, poses = jhmdb
  predicted = {name: pose.copy() for name, pose in poses.items()}
  is_found = {name: np.ones((6, 15), bool) for name in poses}
  # The neck is wrong in 3 of the 15 frames that count.
  predicted['third'][1:4, 0] += 1000
  # The belly is not predicted in any video.
  for visible in is_found.values():
    visible[:, 1] = False
  # The face is predicted in two videos, and wrong in one of them.
  is_found['third'][:, 2] = False
  predicted['second jump (1)'][:, 2] += 1000
  remaining = [(predicted[name], is_found[name]) for name in poses]
  monkeypatch.setattr(joints_lib, 'decode', lambda *_: remaining.pop(0))
  report = evaluate(str(root))
  assert report.scores['pck_0.4'] == pytest.approx(
      100 * (12 / 15 + 5 / 10 + 12) / 14
  )
  assert report.scores['pck_0.1_neck'] == pytest.approx(80)
  assert report.scores['pck_0.1_face'] == pytest.approx(50)
  assert 'pck_0.1_belly' not in report.scores
  assert report.notes == [
      'belly is found in no frame, and left out of the mean'
  ]
  (row,) = [row for row in report.rows if row['video'] == 'third']
  assert row['pck_0.4'] == pytest.approx(100 * (2 / 5 + 12) / 13)


def test_evaluate_refuses_predictions_without_any_joint(jhmdb, monkeypatch):
  nothing = np.zeros((6, 15, 2)), np.zeros((6, 15), bool)
  monkeypatch.setattr(joints_lib, 'decode', lambda *_: nothing)
  with pytest.raises(ValueError, match='no joint is found in any video'):
    evaluate(str(jhmdb[0]))


def test_evaluate_does_not_score_frames_without_a_pose(jhmdb):
  root, poses = jhmdb
  path = root / 'joint_positions/jump/third/joint_positions.mat'
  io.savemat(path, {'pos_img': poses['third'][:4].transpose(2, 1, 0) + 1})
  report = evaluate(str(root))
  assert report.notes == ['third: 4 of 6 frames have a pose']
  assert [row['num_frames'] for row in report.rows] == [5, 5, 3]
  assert report.scores['pck_0.4'] == 100
  io.savemat(path, {'pos_img': poses['third'][:1].transpose(2, 1, 0) + 1})
  with pytest.raises(ValueError, match='third has 1 poses; .* at least 2'):
    evaluate(str(root))
