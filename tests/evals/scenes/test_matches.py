"""Tests matches by similarity, on features that differ in every patch."""

import jax
import numpy as np

from rvm_jax.evals.scenes import matches

GRID, NUM_FRAMES = (4, 6), 5


def make_walk(step=1):
  """Returns features that move right by `step` patches a frame and wrap around.

  Features of the patches of a frame are orthogonal vectors of length 3.

  Returns:
    float32 [1, T, h, w, N].
  """
  names = 3 * np.eye(np.prod(GRID), dtype=np.float32).reshape(*GRID, -1)
  frames = [np.roll(names, step * t, 1) for t in range(NUM_FRAMES)]
  return np.stack(frames)[None]


def test_share_points_interpolates_bilinearly():
  size = np.array(GRID[::-1])
  places = np.array([[1.5, 2.5], [2.0, 2.5], [0.0, 0.0], [4.5, 1.0]]) / size
  shares = matches.share_points(places, GRID).reshape(4, *GRID)
  assert shares[0, 2, 1] == 1 and shares[2, 0, 0] == 1
  assert shares[1, 2, 1] == shares[1, 2, 2] == 0.5
  assert shares[3, 0, 4] == shares[3, 1, 4] == 0.5
  np.testing.assert_allclose(shares.sum((1, 2)), 1, atol=1e-6)


def test_share_boxes_gives_the_share_of_the_box_on_each_patch():
  size = np.array(GRID[::-1])
  boxes = np.array([[1, 1, 3, 2], [0.5, 0, 1.5, 1], [7, 7, 8, 8]])
  shares = matches.share_boxes(boxes / np.tile(size, 2), GRID)
  shares = shares.reshape(3, *GRID)
  expected = np.zeros((2, 6))
  expected[0, 1:3] = expected[1, :2] = 0.5
  np.testing.assert_allclose([shares[0, 1], shares[1, 0]], expected, atol=1e-6)
  # The last box is outside of the frame.
  assert not shares[2].any()
  np.testing.assert_allclose(shares.sum((1, 2)), [1, 1, 0], atol=1e-6)


def test_cues_tell_where_patches_went():
  queries = np.eye(np.prod(GRID), dtype=np.float32)[None]
  cues = np.asarray(matches.find(make_walk(), queries))
  assert cues.shape == (1, 24, NUM_FRAMES, 14) and cues.dtype == np.float32
  cues = cues[0].reshape(*GRID, NUM_FRAMES, 14)
  # The first five cues are those of one temperature, the next five those of the
  # other. Only the first three frames are tested: in later frames the patches
  # have moved so far that nearer ones get more weight.
  for first in (0, 5):
    x, y, variance_x, variance_y, similarity = np.moveaxis(
        cues[1, 0, :3, first : first + 5], -1, 0
    )
    np.testing.assert_allclose(x, np.arange(3) / 6, atol=0.02)
    assert np.abs(y).max() < 1e-5
    assert variance_x.max() < 0.01 and variance_y.max() < 0.01
    np.testing.assert_allclose(similarity, 1, atol=0.02)
  best, mean, deviation, still = np.moveaxis(cues[..., 10:], -1, 0)
  np.testing.assert_allclose(best, 1, atol=1e-5)
  np.testing.assert_allclose(mean, 1 / 24, atol=1e-5)
  np.testing.assert_allclose(deviation, (1 / 24 - 1 / 24**2) ** 0.5, atol=1e-5)
  np.testing.assert_allclose(
      still, np.broadcast_to([1, 0, 0, 0, 0], still.shape), atol=1e-5
  )


def test_cues_do_not_depend_on_the_scale_of_features():
  rng = np.random.default_rng(0)
  features = rng.normal(size=(2, NUM_FRAMES, *GRID, 7)).astype(np.float32)
  queries = rng.dirichlet(np.ones(24), (2, 3)).astype(np.float32)
  for x, scaled in (
      (matches.find(features, queries), matches.find(40 * features, queries)),
      (matches.follow(features), matches.follow(40 * features)),
  ):
    np.testing.assert_allclose(x, scaled, rtol=1e-4, atol=1e-5)


def test_motion_is_averaged_over_a_grid_of_4_x_4():
  moves = jax.device_get(matches.follow(make_walk()))
  # The mean and the trend over lags of 1 and 3 frames.
  assert moves.shape == (1, 4 * 4 * 4 * 2)
  one, trend, _, _ = moves.reshape(4, 4, 4, 2)
  np.testing.assert_allclose(one[:, 1:3, 0], 1 / 6, atol=0.02)
  # The last column wraps around.
  assert np.abs(one[:, :3, 1]).max() < 1e-5
  assert np.abs(trend).max() < 1e-5
  still = np.asarray(matches.follow(make_walk(0)))
  assert np.abs(still).max() < 1e-5
  # A single pair of frames has no trend.
  assert matches.follow(make_walk()[:, :2]).shape == (1, 4 * 4 * 2)


def test_motion_that_grows_has_a_positive_trend():
  names = make_walk(0)[0, 0]
  places = [0, 0, 0, 1, 2]
  walk = np.stack([np.roll(names, place, 1) for place in places])[None]
  _, trend, *_ = np.asarray(matches.follow(walk)).reshape(-1, 4, 4, 2)
  assert trend[:, 1:3, 0].min() > 0.01
