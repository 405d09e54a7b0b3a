"""Tests propagating masks through scenes whose right masks are known."""

import types

import numpy as np
import pytest

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.scenes import masks

RAW = pixels.make(8)
COLORS = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)
# A patch takes the labels of one other patch, so that masks are not blurred.
SETTINGS = {'top_k': 1}


def make_scene(seed, num_objects=2, num_frames=5):
  """Returns a scene of squares as large as a patch, which jump between patches.

  Each object has a colour of its own, which differs from the background's.
  """
  rng = np.random.default_rng(seed)
  frames = np.full((num_frames, 64, 64, 3), COLORS[0], np.uint8)
  segments = np.zeros((num_frames, 64, 64), np.uint8)
  for f in range(num_frames):
    places = rng.choice(64, num_objects, replace=False)
    for label, place in enumerate(places, 1):
      y, x = 8 * (place // 8), 8 * (place % 8)
      segments[f, y : y + 8, x : x + 8] = label
      frames[f, y : y + 8, x : x + 8] = COLORS[label]
  return types.SimpleNamespace(frames=frames, segments=segments)


def test_objects_of_one_colour_each_are_found_again():
  scenes = [make_scene(seed) for seed in range(3)]
  result = masks.evaluate(RAW, scenes, SETTINGS, batch=2)
  assert result['num_objects'] == 6
  assert result['predictions'].shape == (3, 5, 64, 64)
  np.testing.assert_array_equal(
      result['ground_truth'], [s.segments for s in scenes]
  )
  # Bilinear decoding rounds the corners of a square off.
  assert result['j'] > 0.7 and result['f'] > 0.75
  np.testing.assert_allclose(result['j_and_f'], (result['j'] + result['f']) / 2)


def test_constant_features_find_nothing():
  def encode(frames):
    patches = np.ones((*frames.shape[:2], 8, 8, 1), np.float32)
    return encoder_lib.FrameFeatures(patches, None)

  blind = encoder_lib.FrozenEncoder('blind', 'none', 8, 'ignored', encode)
  assert masks.evaluate(blind, [make_scene(0)], {})['j'] < 0.1


def test_a_frame_without_the_object_scores_1_if_nothing_is_predicted():
  scene = make_scene(0, num_objects=1, num_frames=4)
  # The object leaves after frame 1, and the prediction with it.
  scene.frames[2:] = COLORS[0]
  scene.segments[2:] = 0
  result = masks.evaluate(RAW, [scene], SETTINGS)
  assert not result['predictions'][0, 2:].any()
  # Frame 0 is not scored.
  first = result['predictions'][0, 1] > 0
  true = scene.segments[1] > 0
  overlap = (first & true).sum() / (first | true).sum()
  np.testing.assert_allclose(result['j'], (overlap + 1 + 1) / 3)


def test_the_weight_of_a_scene_is_its_number_of_objects():
  scenes = [make_scene(0, num_objects=2), make_scene(1, num_objects=1)]
  # In the second scene, the object is not where it is drawn.
  scenes[1].segments = np.roll(scenes[1].segments, 32, 1)
  one, other = (masks.evaluate(RAW, [s], SETTINGS)['j'] for s in scenes)
  assert one > other + 0.3
  both = masks.evaluate(RAW, scenes, SETTINGS)['j']
  np.testing.assert_allclose(both, (2 * one + other) / 3)


def test_masks_that_stay_score_1_in_a_static_video():
  moving, static = make_scene(0), make_scene(1)
  static.segments[:] = static.segments[0]
  segments = np.stack([moving.segments, static.segments])
  still = masks.repeat(segments, 8)
  np.testing.assert_array_equal(
      still['stay'][0], moving.segments[:1].repeat(5, 0)
  )
  scores = masks.score_all(segments, still['stay'])
  assert scores['num_objects'] == 4
  first, second = scores['by_scene']
  assert second == {'j': 1, 'f': 1, 'j_and_f': 1, 'num_objects': 2}
  assert first['j'] < 0.3
  np.testing.assert_allclose(scores['j'], (first['j'] + 1) / 2)
  on_grid = masks.score_all(segments, still['stay_grid'])['by_scene'][1]
  assert 0.7 < on_grid['j'] < 1
  # The grid rounds masks off as `coarsen` does.
  np.testing.assert_array_equal(
      still['stay_grid'][1], masks.coarsen(static.segments, 8)
  )


def test_scenes_without_objects_have_no_weight():
  segments = np.stack([make_scene(0).segments, 0 * make_scene(0).segments])
  scores = masks.score_all(segments, segments)
  assert scores['j'] == 1 and scores['num_objects'] == 2
  assert np.isnan(scores['by_scene'][1]['j'])


def test_objects_too_small_in_the_first_frame_are_left_out():
  scene = make_scene(0)
  scene.segments[0, scene.segments[0] == 1] = 0
  scene.segments[0, 0, :5] = 1  # 5 of 4096 pixels.
  result = masks.evaluate(RAW, [scene], SETTINGS)
  assert result['num_objects'] == 1
  np.testing.assert_array_equal(result['ground_truth'][0], scene.segments == 2)
  scene.segments[0] = 0
  with pytest.raises(ValueError, match='min_share=0.005'):
    masks.evaluate(RAW, [scene], {})


def test_coarse_masks_keep_squares_of_patches_but_for_their_corners():
  segments = make_scene(0).segments
  coarse = masks.coarsen(segments, 8)
  assert coarse.shape == segments.shape and coarse.dtype == np.uint8
  inner = coarse.reshape(5, 8, 8, 8, 8)[:, :, 2:6, :, 2:6]
  np.testing.assert_array_equal(
      inner, segments.reshape(5, 8, 8, 8, 8)[:, :, 2:6, :, 2:6]
  )
  fine = np.zeros((1, 16, 16), np.uint8)
  fine[0, :3, :3] = 1  # It covers the centre of no patch.
  assert not masks.coarsen(fine, 8).any()
