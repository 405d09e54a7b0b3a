"""Readouts of scenes: they read what is there, and look at no truth but asked."""

import jax
import numpy as np
import pytest

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.scenes import clips as clips_lib
from rvm_jax.evals.scenes import oracle
from rvm_jax.evals.scenes import readouts as readouts_lib
from rvm_jax.evals.scenes import ridge
from rvm_jax.evals.scenes import scores

SHAPE = dict(
    height=32,
    width=48,
    num_frames=4,
    stride=2,
    path=8,
    num_points=6,
    min_share=0.01,
)


@pytest.fixture(scope='module')
def clips():
  draw = lambda split, num: clips_lib.read(
      clips_lib.Clips(split, **SHAPE), range(num)
  )
  return draw('train', 80), draw('held_out', 40)


@pytest.fixture(scope='module')
def model(clips):
  train, test = clips
  return oracle.make(8).reveal([*train, *test])


@pytest.fixture(scope='module')
def readouts(model, clips):
  return readouts_lib.fit(model, clips[0])


def answer(model, readouts, clips):
  """Examples of the held-out clips, and what is said of each."""
  pairs = []
  for examples, features in readouts_lib.encode(model, clips[1]):
    found = readouts_lib.answer(readouts, examples, features)
    pairs += zip(examples, found, strict=True)
  return pairs


def test_features_made_of_the_truth_beat_the_floor(model, readouts, clips):
  pairs = answer(model, readouts, clips)
  assert len(pairs) == 40
  typical = readouts.typical
  rows = [
      scores.score_points(*pair)
      | scores.score_boxes(*pair)
      | scores.score_depth(typical, *pair)
      | scores.score_pose(typical, *pair)
      | scores.score_motion(*pair)
      for pair in pairs
  ]
  mean = lambda key: np.nanmean([row[key] for row in rows])
  assert mean('points_hidden') > 60
  gain = lambda key: mean(key) - mean(f'{key}_floor')
  assert gain('points_aj') > 1 and gain('boxes_iou') > 0.5
  assert gain('depth_abs_rel') < -10 and gain('pose_epe') < -10
  assert mean('motion_direction') > 80


def test_answers_are_of_the_shapes_that_are_scored(model, readouts, clips):
  (truth, found), *_ = answer(model, readouts, clips)
  for key in ('tracks', 'visible', 'boxes', 'depth', 'pose'):
    assert found[key].shape == truth[key].shape, key
  assert found['probabilities'].shape == (8,)
  assert found['chance'].shape == truth['visible'].shape
  # Nothing moves in the frame in which it is asked for.
  np.testing.assert_allclose(found['tracks'][:, 0], truth['tracks'][:, 0])
  np.testing.assert_allclose(found['boxes'][:, 0], truth['boxes'][:, 0])
  assert found['visible'][:, 0].all()


def test_of_truths_only_first_places_are_looked_at(model, readouts, clips):
  (examples, features), *_ = readouts_lib.encode(model, clips[1])
  hidden = [
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
  for found, other in zip(
      readouts_lib.answer(readouts, examples, features),
      readouts_lib.answer(readouts, hidden, features),
  ):
    for key, value in found.items():
      np.testing.assert_array_equal(value, other[key], err_msg=key)


def test_features_that_say_nothing_give_what_is_typical(clips):
  blind = encoder_lib.FrozenEncoder(
      'blind',
      'blind',
      8,
      'none',
      lambda frames: encoder_lib.FrameFeatures(
          np.ones((*frames.shape[:2], 4, 6, 3), np.float32), None
      ),
  )
  readouts = readouts_lib.fit(blind, clips[0])
  (_, found), (_, other), *_ = answer(blind, readouts, clips)
  for key in ('probabilities', 'pose', 'depth'):
    np.testing.assert_allclose(found[key], other[key], atol=1e-4, err_msg=key)
  assert found['probabilities'].max() < 0.3
  ratio = np.log(found['depth'] / readouts.typical['depth'])
  assert np.abs(ratio).mean() < 0.2


def test_rows_and_targets_are_those_of_clips(model, clips, monkeypatch):
  plain, calls = ridge.fit, []

  def fit(inputs, targets, groups, **settings):
    calls.append((targets, groups))
    return plain(inputs, targets, groups, **settings)

  monkeypatch.setattr(ridge, 'fit', fit)
  train = clips[0][:10]
  readouts_lib.fit(model, train)
  assert len(calls) == 2 + 3 + 3 + 1 + 1
  # Else the penalty would be chosen on clips that were fitted to.
  for targets, groups in calls:
    wanted = np.repeat(np.arange(10), len(targets) // 10)
    np.testing.assert_array_equal(groups, wanted)
  # Points and boxes move in sides of the frame.
  stack = lambda key: np.stack([record.example[key] for record in train])
  for first, key, sides in (
      (2, 'tracks', [48, 32]),
      (5, 'boxes', [48, 32, 48, 32]),
  ):
    places = stack(key)
    for time in (1, 2, 3):
      moves = np.nan_to_num(places[:, :, time] - places[:, :, 0])
      np.testing.assert_allclose(
          calls[first + time - 1][0] * sides,
          moves.reshape(-1, len(sides)),
          atol=1e-3,
      )


def test_sky_does_not_count(clips, monkeypatch):
  """Patches of which nothing is known change nothing."""
  plain, calls = ridge.fit, []

  def fit(inputs, targets, groups, **settings):
    if inputs.shape[1] == 5:  # Of patches: three features and the place.
      calls.append((inputs, targets, settings['weights']))
    return plain(inputs, targets, groups, **settings)

  monkeypatch.setattr(ridge, 'fit', fit)
  mean = encoder_lib.FrozenEncoder(
      'mean',
      'mean',
      8,
      'none',
      lambda frames: encoder_lib.FrameFeatures(
          frames.reshape(*frames.shape[:2], 4, 8, 6, 8, 3).mean((3, 5)), None
      ),
  )
  cover = lambda record: record._replace(
      example=record.example
      | {'depth': np.where(np.arange(48) < 12, 0, record.example['depth'])}
  )
  readouts_lib.fit(mean, [cover(record) for record in clips[0][:10]])
  ((inputs, targets, weights),) = calls
  column = np.rint((inputs[:, 3] + 1) / 2 * 5)
  assert not weights[column == 0].any() and weights[column == 2].any()
  # Of a patch that is half sky, the other half stands for it.
  half = targets[column == 1].reshape(-1, 8, 8)
  known = half[:, :, 4:].mean((1, 2))
  np.testing.assert_allclose(
      half[:, :, :4], known[:, None, None].repeat(8, 1).repeat(4, 2), atol=1e-6
  )


def test_things_that_no_clip_shows_stay(model, clips):
  nothing = [
      record._replace(
          example=record.example
          | {'boxes': np.full_like(record.example['boxes'], np.nan)}
      )
      for record in clips[0]
  ]
  readouts = readouts_lib.fit(model, nothing)
  assert readouts.boxes == [None] * 3
  (truth, found), *_ = answer(model, readouts, clips)
  first = truth['boxes'][:, :1].repeat(4, 1)
  np.testing.assert_allclose(found['boxes'], first)


def test_readouts_are_the_same_each_time(model, readouts, clips):
  again = readouts_lib.fit(model, clips[0])
  jax.tree.map(np.testing.assert_array_equal, vars(readouts), vars(again))
