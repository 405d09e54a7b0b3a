"""Tests the cues of points and boxes, and the sampling of patches."""

import numpy as np

from rvm_jax.evals.scenes import cues
from tests.evals.scenes import small_clips


def test_append_places_gives_places_from_minus_one_to_one():
  features = np.zeros((2, 3, 4, 5, 1), np.float32)
  found = cues.append_places(features)
  assert found.shape == (2, 3, 4, 5, 3) and found.dtype == np.float32
  np.testing.assert_allclose(found[1, 2, 3, :, 1], [-1, -0.5, 0, 0.5, 1])
  np.testing.assert_allclose(found[1, 2, :, 4, 2], [-1, -1 / 3, 1 / 3, 1])


def test_sampled_patches_keep_their_features_depth_and_baseline():
  # Each pixel's depth is the number of its patch, and so is its feature.
  numbers = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
  depth = numbers.repeat(8, 2).repeat(8, 3)
  baseline = 1000 + depth[0, 0]
  sampled = cues.sample_patches(
      np.random.default_rng(0), 7, numbers[..., None], depth, baseline, 8
  )
  chosen = sampled['patches'][..., 0]
  assert chosen.shape == (2, 7)
  for row, clip in zip(chosen, numbers):
    assert len(set(row)) == 7 and set(row) <= set(clip.ravel())
  for key, expected in (
      ('patch_depth', chosen),
      ('patch_baseline', 1000 + chosen % 20),
  ):
    assert sampled[key].shape == (2, 7, 64)
    np.testing.assert_array_equal(
        sampled[key], expected[..., None].repeat(64, 2)
    )


def test_a_clip_with_few_patches_gives_all_of_them():
  features = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3, 1)
  depth, baseline = np.ones((1, 1, 2, 3)), np.ones((2, 3))
  sampled = cues.sample_patches(
      np.random.default_rng(0), 100, features, depth, baseline, 1
  )
  assert sorted(sampled['patches'][0, :, 0]) == list(range(6))


def test_cues_hold_the_places_of_points_and_boxes_in_the_first_frame():
  examples = [e.example for e in small_clips.generate('held_out', 3)]
  features = np.random.default_rng(0).normal(size=(3, 4, 4, 6, 5))
  found = cues.find(examples, features.astype(np.float32))
  assert {key: x.shape for key, x in found.items()} == {
      # Lag 1 has a mean and a trend, lag 3 a mean alone.
      'motion': (3, 4 * 4 * 2 * 3),
      'points': (3, 6, 4 * 14 + 2),
      'boxes': (3, 8, 4 * 14 + 4),
  }
  for clip, example in enumerate(examples):
    np.testing.assert_allclose(
        found['points'][clip, :, -2:] * [48, 32],
        example['tracks'][:, 0],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        found['boxes'][clip, :, -4:] * [48, 32, 48, 32],
        np.nan_to_num(example['boxes'][:, 0]),
        rtol=1e-5,
    )
