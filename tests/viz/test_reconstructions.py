"""Reconstructions are the model's own, of the frames that are named."""

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


def test_painted_one_by_one_or_together_it_is_the_same(model, frames):
  model, params = model
  found = reconstructions.paint(model, params, frames)
  np.testing.assert_array_equal(found.source, frames[:4])
  np.testing.assert_array_equal(found.target, frames[4:8])
  assert found.visible.shape == (4, 1)  # int(24 * 0.05).
  scale = lambda x: np.float32(x)[None] / 255
  expected = jax.jit(model.apply)(
      {'params': params},
      scale(frames[:4]),
      scale(frames[4:8]),
      np.array([[4, 5, 6, 7]]),
      found.visible[None],
  )[0]
  np.testing.assert_allclose(found.pixels, expected, atol=1e-5)


def test_where_there_is_none_it_says_why(model, frames):
  model, params = model
  said = reconstructions.paint(model, params, frames[:7])
  assert '8 frames are needed, 7 are here' in said
  said = reconstructions.paint(model.clone(decoder_layers=0), params, frames)
  assert 'takes a decoder' in said
