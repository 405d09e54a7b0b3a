"""Tests bootstrap intervals in cases where statistics gives the result."""

import numpy as np
import pytest

from rvm_jax.evals.metrics import intervals


def test_interval_agrees_with_the_normal_approximation():
  values = np.random.default_rng(1).normal(3.0, 2.0, 400)
  low, high = intervals.interval(values)
  margin = 1.96 * values.std() / np.sqrt(len(values))
  np.testing.assert_allclose(
      [low, high],
      [values.mean() - margin, values.mean() + margin],
      atol=0.03,
  )
  assert intervals.interval(values) == (low, high)


def test_interval_covers_the_true_mean_about_95_percent_of_the_time():
  rng = np.random.default_rng(2)
  covered = []
  for _ in range(40):
    low, high = intervals.interval(rng.random(60) < 0.7)
    covered.append(low <= 0.7 <= high)
  assert 0.85 <= np.mean(covered) <= 1


def test_mean_weighs_scenes_and_leaves_out_nan():
  values = np.array([0.2, 0.8, np.nan, 0.5])
  assert intervals.mean(values) == pytest.approx(0.5)
  weights = np.array([3, 1, 2, 0])
  assert intervals.mean(values, weights) == pytest.approx((0.6 + 0.8) / 4)
  # Scenes are resampled whole, with all of their weight: with two scenes left,
  # each end of the interval is the score of one scene.
  assert intervals.interval(values, weights) == pytest.approx((0.2, 0.8))


def test_difference_is_not_widened_by_scenes_hard_for_both():
  rng = np.random.default_rng(3)
  hard = rng.normal(0, 10, 200)
  first, second = hard + rng.normal(0, 1, 200), hard + rng.normal(1, 1, 200)
  difference, low, high = intervals.difference(first, second)
  assert difference == pytest.approx((second - first).mean())
  assert 0.5 < low < difference < high < 1.5
  alone = intervals.interval(second)
  assert high - low < (alone[1] - alone[0]) / 4
  swapped = intervals.difference(second, first)
  assert swapped[1] < swapped[0] < swapped[2] < 0


def test_intervals_refuse_wrong_shapes_and_missing_scores():
  with pytest.raises(ValueError, match='the same scenes, got 2 and 3'):
    intervals.difference([1, 2], [1, 2, 3])
  with pytest.raises(ValueError, match=r'\(2,\) and \(3,\)'):
    intervals.mean([1, 2], [1, 2, 3])
  with pytest.raises(ValueError, match='no scene has a score'):
    intervals.mean([np.nan, 1], [1, 0])
