"""Masks carried on through scenes whose answer is plain."""

import types

import numpy as np
import pytest

from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.encoders import pixels
from rvm_jax.evals.scenes import masks

RAW = pixels.make(8)
COLORS = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)


def make_scene(seed, num_objects=2, num_frames=5):
  """Squares of one patch's size that jump from patch to patch."""
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


def test_finds_what_looks_the_same():
  scenes = [make_scene(seed) for seed in range(3)]
  result = masks.evaluate(RAW, scenes, batch=2, top_k=1)
  assert result['num_objects'] == 6
  assert result['predicted'].shape == (3, 5, 64, 64)
  np.testing.assert_array_equal(result['true'], [s.segments for s in scenes])
  # Bilinear decoding rounds the corners of a square off.
  assert result['j'] > 0.7 and result['f'] > 0.75
  np.testing.assert_allclose(result['j_and_f'], (result['j'] + result['f']) / 2)


def test_constant_features_find_nothing():
  def encode(frames):
    patches = np.ones((*frames.shape[:2], 8, 8, 1), np.float32)
    return encoder_lib.FrameFeatures(patches, None)

  blind = encoder_lib.FrozenEncoder('blind', 'none', 8, 'not looked at', encode)
  assert masks.evaluate(blind, [make_scene(0)])['j'] < 0.1


def test_scores_frames_after_the_first_and_absent_objects():
  scene = make_scene(0, num_objects=1, num_frames=4)
  scene.frames[2:] = COLORS[0]  # It goes, and the prediction goes with it.
  scene.segments[2:] = 0
  result = masks.evaluate(RAW, [scene], top_k=1)
  assert not result['predicted'][0, 2:].any()
  first = result['predicted'][0, 1] > 0
  true = scene.segments[1] > 0
  overlap = (first & true).sum() / (first | true).sum()
  np.testing.assert_allclose(result['j'], (overlap + 1 + 1) / 3)


def test_leaves_out_what_the_first_frame_hardly_shows():
  scene = make_scene(0)
  scene.segments[0, scene.segments[0] == 1] = 0
  scene.segments[0, 0, :5] = 1  # 5 of 4096 pixels.
  result = masks.evaluate(RAW, [scene], top_k=1)
  assert result['num_objects'] == 1
  np.testing.assert_array_equal(result['true'][0], scene.segments == 2)
  scene.segments[0] = 0
  with pytest.raises(ValueError, match='min_share=0.005'):
    masks.evaluate(RAW, [scene])
