"""Feature functions: raw pixels and the streaming model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.evals import features
from rvm_jax.models import rvm


@pytest.fixture(scope='module')
def frames():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (2, 7, 16, 24, 3), np.uint8)


@pytest.fixture(scope='module')
def model():
  return rvm.RVM(
      width=16, encoder_layers=1, encoder_heads=2, encoder_mlp=32,
      core_layers=1, core_heads=2, core_mlp=32, decoder_layers=0, patch=8,
  )


@pytest.fixture(scope='module')
def params(model):
  init = functools.partial(model.init, method='encode')
  shown = jnp.zeros((1, 1, 16, 24, 3))
  shapes = jax.eval_shape(init, jax.random.key(0), shown)['params']
  # Fresh parameters hold zeros, which would hide what is carried over time.
  rng = np.random.default_rng(1)
  return jax.tree.map(
      lambda x: np.float32(rng.normal(0, 0.2, x.shape)), shapes
  )


def test_raw_patches_are_the_pixels_of_each_patch(frames):
  found = features.raw_patches(frames, 8)
  assert found.shape == (2, 7, 2, 3, 192) and found.dtype == np.float32
  patch = frames[1, 4, 8:16, 16:24]
  np.testing.assert_allclose(found[1, 4, 1, 2], patch.ravel() / 255, rtol=1e-6)


def test_rvm_streams_in_chunks_as_if_at_once(frames, model, params):
  encode = jax.jit(functools.partial(model.apply, method='encode'))
  whole, _ = encode({'params': params}, jnp.float32(frames) / 255)
  whole = whole[:, :, 1:].reshape(2, 7, 2, 3, 16)
  assert np.abs(np.diff(whole, axis=1)).min(1).max() > 1e-3
  for chunk in (3, 16):  # 3 leaves a rest of 1.
    found = features.rvm_features(model, params, chunk)(frames)
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_refuses_frames_that_are_not_uint8_videos(frames, model, params):
  for function in (
      functools.partial(features.raw_patches, patch=8),
      features.rvm_features(model, params),
  ):
    for wrong in (frames / 255, frames[0], frames[..., :1]):
      with pytest.raises(ValueError, match=r'uint8 \[B, T, H, W, 3\], got'):
        function(wrong)
    with pytest.raises(ValueError, match='multiple of the patch side 8'):
      function(frames[:, :, :-1])
