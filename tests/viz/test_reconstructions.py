"""Tests reconstructions against one call of the model."""

import jax
import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.viz import reconstructions
from tests.viz import conftest


@pytest.fixture(scope='module')
def model():
  return weights.load(conftest.CHECKPOINT)


@pytest.fixture(scope='module')
def frames():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (10, 64, 96, 3), np.uint8)


def test_reconstruct_equals_one_call_with_all_targets(model, frames):
  model, params = model
  found = reconstructions.reconstruct(model, params, frames)
  np.testing.assert_array_equal(found.source, frames[:4])
  np.testing.assert_array_equal(found.target, frames[4:8])
  assert found.visible.shape == (4, 1)  # int(24 * 0.05).
  pixels = np.float32(frames)[None] / 255
  expected = jax.jit(model.apply)(
      {'params': params},
      pixels[:, :4],
      pixels[:, 4:8],
      np.array([[4, 5, 6, 7]]),
      found.visible[None],
  )[0]
  np.testing.assert_allclose(found.pixels, expected, atol=1e-5)


def test_reconstruct_returns_a_reason_where_it_cannot(model, frames):
  model, params = model
  reason = reconstructions.reconstruct(model, params, frames[:7])
  assert '8 frames are needed, 7 are here' in reason
  encoder = model.clone(decoder_layers=0)
  reason = reconstructions.reconstruct(encoder, params, frames)
  assert 'takes a decoder' in reason
