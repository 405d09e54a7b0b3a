"""Tests which value the setting `center_frames` gets."""

import pytest

from rvm_jax.evals.encoders import centering


@pytest.mark.parametrize('center_frames', [False, True])
def test_settle_fills_in_a_missing_value_and_nothing_else(center_frames):
  expected = {
      'height': 64,
      'propagation': {'top_k': 7, 'center_frames': center_frames},
  }
  for given in ({'top_k': 7}, {'top_k': 7, 'center_frames': None}):
    protocol = {'height': 64, 'propagation': given}
    before = {'height': 64, 'propagation': dict(given)}
    assert centering.settle(protocol, center_frames) == expected
    assert protocol == before


def test_settle_keeps_a_value_that_is_set():
  for chosen in (False, True):
    protocol = {'propagation': {'center_frames': chosen}}
    assert centering.settle(protocol, not chosen) == protocol


def test_settle_adds_no_propagation_to_a_benchmark_without_it():
  assert centering.settle({'height': 64}, True) == {'height': 64}
