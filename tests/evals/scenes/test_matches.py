"""Looking for things by their features: where these are plain, it finds them."""

import jax
import numpy as np

from rvm_jax.evals.scenes import matches

GRID, TIME = (4, 6), 5


def test_shares_of_points_and_boxes():
  side = np.array(GRID[::-1])
  centre = np.array([[1.5, 2.5], [2.0, 2.5], [0.0, 0.0], [4.5, 1.0]]) / side
  shares = matches.share_points(centre, GRID).reshape(4, *GRID)
  assert shares[0, 2, 1] == 1 and shares[2, 0, 0] == 1
  assert shares[1, 2, 1] == shares[1, 2, 2] == 0.5
  assert shares[3, 0, 4] == shares[3, 1, 4] == 0.5
  boxes = np.array([[1, 1, 3, 2], [0.5, 0, 1.5, 1], [7, 7, 8, 8]])
  boxes = boxes / np.tile(side, 2)
  shares = matches.share_boxes(boxes, GRID).reshape(3, *GRID)
  wanted = np.zeros((2, 6))
  wanted[0, 1:3] = wanted[1, :2] = 0.5
  np.testing.assert_allclose([shares[0, 1], shares[1, 0]], wanted, atol=1e-6)
  assert not shares[2].any()
  np.testing.assert_allclose(shares.sum((1, 2)), [1, 1, 0], atol=1e-6)


def make_walk(step=1):
  """Things of one patch, each of its own kind, that go right, round and round."""
  names = 3 * np.eye(np.prod(GRID), dtype=np.float32).reshape(*GRID, -1)
  clip = np.stack([np.roll(names, step * t, 1) for t in range(TIME)])
  return clip[None]


def test_finds_where_things_went():
  asked = np.eye(np.prod(GRID), dtype=np.float32)[None]
  cues = np.asarray(matches.find(make_walk(), asked))
  assert cues.shape == (1, 24, TIME, 14) and cues.dtype == np.float32
  cues = cues[0].reshape(*GRID, TIME, 14)
  for first in (0, 5):  # Of either temperature.
    x, y, vary_x, vary_y, likely = np.moveaxis(
        cues[..., first : first + 5], -1, 0
    )
    # Far ones are thought less likely: they would have to be more alike.
    np.testing.assert_allclose(x[1, 0, :3], np.arange(3) / 6, atol=0.02)
    assert np.abs(y[1, 0, :3]).max() < 1e-5
    assert vary_x[1, 0, :3].max() < 0.01 and vary_y[1, 0, :3].max() < 0.01
    np.testing.assert_allclose(likely[1, 0, :3], 1, atol=0.02)
  best, mean, deviation, still = np.moveaxis(cues[..., 10:], -1, 0)
  np.testing.assert_allclose(best, 1, atol=1e-5)
  np.testing.assert_allclose(mean, 1 / 24, atol=1e-5)
  np.testing.assert_allclose(deviation, (1 / 24 - 1 / 24**2) ** 0.5, atol=1e-5)
  np.testing.assert_allclose(
      still, np.broadcast_to([1, 0, 0, 0, 0], still.shape), atol=1e-5
  )


def test_looking_does_not_depend_on_the_scale_of_features():
  rng = np.random.default_rng(0)
  features = rng.normal(size=(2, TIME, *GRID, 7)).astype(np.float32)
  asked = rng.dirichlet(np.ones(24), (2, 3)).astype(np.float32)
  for look in (lambda f: matches.find(f, asked), matches.follow):
    np.testing.assert_allclose(
        look(features), look(40 * features), rtol=1e-4, atol=1e-5
    )


def test_follows_patches_over_a_grid_of_its_own():
  moves = jax.device_get(matches.follow(make_walk()))
  # Of 1 and 3 frames, the mean and the trend of each.
  assert moves.shape == (1, 4 * 4 * 4 * 2)
  one, trend, _, _ = moves.reshape(4, 4, 4, 2)
  np.testing.assert_allclose(one[:, 1:3, 0], 1 / 6, atol=0.02)
  assert np.abs(one[:, :3, 1]).max() < 1e-5  # The last goes round.
  assert np.abs(trend).max() < 1e-5
  still = np.asarray(matches.follow(make_walk(0)))
  assert np.abs(still).max() < 1e-5
  assert matches.follow(make_walk()[:, :2]).shape == (1, 4 * 4 * 2)
