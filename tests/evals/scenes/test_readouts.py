"""Tests that readouts use features, and no ground truth but the queries."""

import jax
import numpy as np
import pytest

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import oracle
from rvm_jax.evals.scenes import readouts as readouts_lib
from rvm_jax.evals.scenes import ridge
from rvm_jax.evals.scenes import scores
from tests.evals.scenes import small_clips


@pytest.fixture(scope='module')
def train():
  return small_clips.generate('train', 80)


@pytest.fixture(scope='module')
def test():
  return small_clips.generate('held_out', 40)


@pytest.fixture(scope='module')
def encoder(train, test):
  return oracle.make(8).reveal([*train, *test])


@pytest.fixture(scope='module')
def readouts(encoder, train):
  return readouts_lib.fit(encoder, train)


def make_encoder(name, function):
  """Returns an encoder of patches of 8 x 8 pixels from a function of frames."""

  def encode(frames):
    return encoder_lib.FrameFeatures(function(frames), None)

  return encoder_lib.FrozenEncoder(name, name, 8, 'none', encode)


def predict(encoder, readouts, examples):
  """Returns pairs of an example and its prediction."""
  pairs = []
  for batch, features in readouts_lib.encode(encoder, examples):
    predictions = readouts_lib.predict(readouts, batch, features)
    pairs += zip(batch, predictions, strict=True)
  return pairs


def replace(named_example, **arrays):
  """Returns a clip in which some arrays are replaced."""
  return named_example._replace(example=named_example.example | arrays)


def test_the_oracle_beats_the_baselines(encoder, readouts, test):
  pairs = predict(encoder, readouts, test)
  assert len(pairs) == 40
  baseline = readouts.baseline
  rows = [
      scores.score_points(*pair)
      | scores.score_boxes(*pair)
      | scores.score_depth(baseline, *pair)
      | scores.score_pose(baseline, *pair)
      | scores.score_motion(*pair)
      for pair in pairs
  ]
  means = {key: np.nanmean([row[key] for row in rows]) for key in rows[0]}
  assert means['points_hidden'] > 60
  assert means['points_aj'] - means['points_aj_floor'] > 1
  assert means['boxes_iou'] - means['boxes_iou_floor'] > 0.5
  assert means['depth_abs_rel'] - means['depth_abs_rel_floor'] < -10
  assert means['pose_epe'] - means['pose_epe_floor'] < -10
  assert means['motion_direction'] > 80


def test_predictions_have_the_shapes_of_the_ground_truth(
    encoder, readouts, test
):
  (example, prediction), *_ = predict(encoder, readouts, test[:1])
  for key in ('tracks', 'visible', 'boxes', 'depth', 'pose'):
    assert prediction[key].shape == example[key].shape, key
  assert prediction['probabilities'].shape == (8,)
  assert prediction['visible_probability'].shape == example['visible'].shape


def test_queries_are_kept_in_the_first_frame(encoder, readouts, test):
  for example, prediction in predict(encoder, readouts, test):
    for key in ('tracks', 'boxes'):
      np.testing.assert_allclose(prediction[key][:, 0], example[key][:, 0])
    assert prediction['visible'][:, 0].all()


def test_predictions_use_no_ground_truth_but_the_queries(
    encoder, readouts, test
):
  (examples, features), *_ = readouts_lib.encode(encoder, test)
  others = [
      example
      | {
          'label': example['label'] ^ 1,
          'pose': example['pose'] * 0,
          'depth': example['depth'] * 0,
          'visible': ~example['visible'],
          'tracks': example['tracks'][:, :1].repeat(4, 1),
          'boxes': example['boxes'][:, :1].repeat(4, 1),
      }
      for example in examples
  ]
  for prediction, other in zip(
      readouts_lib.predict(readouts, examples, features),
      readouts_lib.predict(readouts, others, features),
  ):
    for key, value in prediction.items():
      np.testing.assert_array_equal(value, other[key], err_msg=key)


def test_constant_features_give_about_the_baseline(train, test):
  blind = make_encoder(
      'blind', lambda x: np.ones((*x.shape[:2], 4, 6, 3), np.float32)
  )
  readouts = readouts_lib.fit(blind, train)
  (_, first), (_, second), *_ = predict(blind, readouts, test)
  for key in ('probabilities', 'pose', 'depth'):
    np.testing.assert_allclose(first[key], second[key], atol=1e-4, err_msg=key)
  assert first['probabilities'].max() < 0.3
  ratio = np.log(first['depth'] / readouts.baseline['depth'])
  assert np.abs(ratio).mean() < 0.2


def test_rows_of_a_clip_form_a_group_and_moves_are_shares_of_the_frame(
    encoder, train, monkeypatch
):
  plain, calls = ridge.fit, []

  def fit(inputs, targets, groups, **settings):
    calls.append((targets, groups))
    return plain(inputs, targets, groups, **settings)

  monkeypatch.setattr(ridge, 'fit', fit)
  train = train[:10]
  readouts_lib.fit(encoder, train)
  # Motion and pose; points and boxes in three frames; visibility and depth.
  assert len(calls) == 2 + 3 + 3 + 1 + 1
  # A split clip would be both fitted to and used to choose the penalty.
  for targets, groups in calls:
    expected = np.repeat(np.arange(10), len(targets) // 10)
    np.testing.assert_array_equal(groups, expected)
  for first, key, sides in (
      (2, 'tracks', [48, 32]),
      (5, 'boxes', [48, 32, 48, 32]),
  ):
    places = np.stack([example[key] for _, example in train])
    for time in (1, 2, 3):
      moves = np.nan_to_num(places[:, :, time] - places[:, :, 0])
      np.testing.assert_allclose(
          calls[first + time - 1][0] * sides,
          moves.reshape(-1, len(sides)),
          atol=1e-3,
      )


def test_depth_is_fitted_only_to_pixels_of_known_depth(train, monkeypatch):
  plain, calls = ridge.fit, []

  def fit(inputs, targets, groups, **settings):
    if inputs.shape[1] == 5:  # Patches: three features and the place.
      calls.append((inputs, targets, settings['weights']))
    return plain(inputs, targets, groups, **settings)

  monkeypatch.setattr(ridge, 'fit', fit)
  mean = make_encoder(
      'mean',
      lambda x: x.reshape(*x.shape[:2], 4, 8, 6, 8, 3).mean((3, 5)),
  )
  # Sky covers the first column of patches and half of the second.
  covered = [
      replace(e, depth=np.where(np.arange(48) < 12, 0, e.example['depth']))
      for e in train[:10]
  ]
  readouts_lib.fit(mean, covered)
  ((inputs, targets, weights),) = calls
  column = np.rint((inputs[:, 3] + 1) / 2 * 5)
  assert not weights[column == 0].any() and weights[column == 2].any()
  # The mean of the half whose depth is known replaces the other half.
  half = targets[column == 1].reshape(-1, 8, 8)
  known = half[:, :, 4:].mean((1, 2))
  np.testing.assert_allclose(
      half[:, :, :4], known[:, None, None].repeat(8, 1).repeat(4, 2), atol=1e-6
  )


def test_boxes_that_no_training_clip_shows_stay(encoder, train, test):
  nothing = [
      replace(e, boxes=np.full_like(e.example['boxes'], np.nan)) for e in train
  ]
  readouts = readouts_lib.fit(encoder, nothing)
  assert readouts.boxes == [None] * 3
  (example, prediction), *_ = predict(encoder, readouts, test[:1])
  first = example['boxes'][:, :1].repeat(4, 1)
  np.testing.assert_allclose(prediction['boxes'], first)


def test_a_fit_is_the_same_each_time(encoder, readouts, train):
  again = readouts_lib.fit(encoder, train)
  jax.tree.map(np.testing.assert_array_equal, vars(readouts), vars(again))
