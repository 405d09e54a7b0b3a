"""Frame rates from timestamps, and headers that claim too much."""

import fractions
import types

import pytest

from rvm_jax.data.video import timing


def stream(rate=None, frames=0, seconds=0):
  """Returns a stand-in for a stream whose time base is a millisecond."""
  return types.SimpleNamespace(
      time_base=fractions.Fraction(1, 1000),
      average_rate=rate,
      frames=frames,
      container=types.SimpleNamespace(duration=seconds * 10**6),
  )


@pytest.mark.parametrize(
    'timestamps, rate, expected',
    [
        ([0, 40, 80], None, 25),
        ([500, 0, None, 100], None, 4),
        ([7, 7], 30, 30),
        ([None, None], None, 25),
        ([3], 12, 12),
    ],
)
def test_frame_rate_is_a_mean_or_that_of_the_header(timestamps, rate, expected):
  assert timing.frame_rate(timestamps, stream(rate)) == expected


def test_shortfall_compares_with_what_the_header_claims():
  assert timing.shortfall(stream(frames=9), 8, 25) == (
      'header claims 9 frames, 8 decode'
  )
  assert not timing.shortfall(stream(frames=8), 8, 25)
  assert timing.shortfall(stream(seconds=40), 250, 25) == (
      'header claims 40.0 s, 10.0 s decode'
  )
  # A duration in a header is rounded, so 1.6 s of 40 s are not reported.
  assert not timing.shortfall(stream(seconds=40), 960, 25)
