"""Sampled frames have the asked-for spacing, ranges and distributions."""

import numpy as np
import pytest

from rvm_jax.data import frame_sampling

SPACING = frame_sampling.Spacing(
    num_source=4, num_target=3, stride=2, min_gap=4, max_gap=10
)


def sample_many(spacing, num_frames, rate=25.0, window=None, times=4000):
  rng = np.random.default_rng(0)
  window = window or (0, num_frames)
  samples = [
      frame_sampling.sample_frames(rng, spacing, num_frames, rate, window)
      for _ in range(times)
  ]
  numbers, deltas = map(np.stack, zip(*samples))
  assert numbers.min() >= 0 and numbers.max() < num_frames
  return numbers, deltas


def test_frames_have_the_spacing_and_the_full_range_of_gaps_and_starts():
  numbers, deltas = sample_many(SPACING, 40)
  firsts = numbers[:, :1]
  assert np.array_equal(numbers[:, :4] - firsts, [[0, 2, 4, 6]] * 4000)
  assert np.array_equal(numbers[:, 4:] - firsts, deltas)
  assert set(np.unique(deltas)) == set(range(6 + 4, 6 + 10 + 1))
  assert set(np.unique(firsts)) == set(range(40 - 16))
  assert numbers.max() == 39


def chi_square(values):
  counts = np.unique(values, return_counts=True)[1]
  return ((counts - counts.mean()) ** 2 / counts.mean()).sum()


def test_first_frames_and_gaps_are_uniform_and_independent():
  numbers, deltas = sample_many(SPACING, 40)
  # 99.9 % points of chi-square for 23, 6 and 48 degrees of freedom.
  assert chi_square(numbers[:, 0]) < 49.7
  for k in range(3):
    assert chi_square(deltas[:, k]) < 22.5
  assert chi_square(deltas[:, 0] * 100 + deltas[:, 1]) < 84.0


def test_first_frames_come_from_the_window():
  numbers, _ = sample_many(SPACING, 100, window=(30, 37))
  assert set(np.unique(numbers[:, 0])) == set(range(30, 37))
  # A window at the very end moves forward until the greatest gap fits.
  numbers, deltas = sample_many(SPACING, 100, window=(80, 100))
  assert set(np.unique(numbers[:, 0])) == {80, 81, 82, 83}
  numbers, deltas = sample_many(SPACING, 100, window=(95, 100))
  assert set(np.unique(numbers[:, 0])) == {83}
  assert deltas.max() == 16


@pytest.mark.parametrize(
    'num_frames, expected',
    [
        (17, range(10, 17)),  # All gaps fit.
        (16, range(10, 16)),  # The greatest gap does not fit.
        (11, [10]),  # The least gap alone fits.
        (10, [9]),  # Not even the least gap fits.
        (8, [7]),
    ],
)
def test_short_clips_take_the_longest_gaps_that_fit(num_frames, expected):
  numbers, deltas = sample_many(SPACING, num_frames, times=300)
  assert set(np.unique(deltas)) == set(expected)
  assert (numbers[:, 0] == 0).all()


def test_clip_without_room_for_gap_one_is_refused():
  with pytest.raises(ValueError, match='too short: 7 frames, needs 8'):
    sample_many(SPACING, 7)


@pytest.mark.parametrize('rate', [10.0, 25.0, 29.97, 60.0])
def test_frames_are_the_nearest_ones_at_another_frame_rate(rate):
  spacing = frame_sampling.Spacing(4, 2, 1, 2, 8, frame_rate=12.5)
  numbers, deltas = sample_many(spacing, 120, rate, times=500)
  steps = np.concatenate([np.tile(np.arange(4), (500, 1)), deltas], axis=1)
  seconds = (numbers - numbers[:, :1]) / rate
  assert np.abs(seconds - steps / 12.5).max() <= 0.5 / rate + 1e-9
  assert deltas.min() == 5 and deltas.max() == 11


def test_length_is_the_least_clip_in_which_a_gap_fits():
  for rate in (10.0, 29.97, 60.0):
    spacing = frame_sampling.Spacing(4, 2, 1, 2, 8, frame_rate=12.5)
    needed = spacing.length(8, rate)
    _, deltas = sample_many(spacing, needed, rate, times=200)
    assert deltas.max() == 11
    _, deltas = sample_many(spacing, needed - 1, rate, times=200)
    if rate > 12.5:
      assert deltas.max() == 10


@pytest.mark.parametrize(
    'wrong',
    [{'min_gap': 0}, {'max_gap': 3}, {'stride': 0}, {'frame_rate': 0.0}],
)
def test_spacing_out_of_range_is_refused(wrong):
  settings = vars(SPACING) | wrong
  with pytest.raises(ValueError, match=next(iter(wrong))):
    frame_sampling.Spacing(**settings)
