"""RVM as a frozen encoder: its stream, its untrained twin, its name."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax import streaming
from rvm_jax import weights
from rvm_jax.evals.encoders import rvm as rvm_encoder
from rvm_jax.models import rvm
from rvm_jax.weights import trees
from tests.evals.encoders import tiny_rvm

TINY = pathlib.Path(__file__).parents[2] / 'golden' / 'rvm_tiny_params.npz'
FRAMES = tiny_rvm.make_frames()


@pytest.fixture(scope='module')
def whole():
  """Features of all frames at once, CLS first: [B, T, 1 + N, D]."""
  encode = jax.jit(functools.partial(tiny_rvm.MODEL.apply, method='encode'))
  frames = jnp.float32(FRAMES) / 255
  return encode({'params': tiny_rvm.make_params()}, frames)[0]


# On 2 x 3 patches a frame of two videos has 49 * 2 scores: parts of three
# frames, of which the last is filled up; or of one.
@pytest.mark.parametrize('max_scores', [300, 1])
def test_features_of_parts_equal_those_of_the_whole_video(
    max_scores, whole, monkeypatch
):
  monkeypatch.setattr(streaming, '_MAX_SCORES', max_scores)
  # The features change over time, so that a lost state would be seen.
  assert np.abs(np.diff(whole[:, :, 1:], axis=1)).min(1).max() > 1e-3
  params = tiny_rvm.make_params()
  encoder = rvm_encoder.from_model('any', tiny_rvm.MODEL, params)
  assert encoder.identity == trees.fingerprint(params)
  features = encoder.encode(FRAMES)
  for array in features:
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
  np.testing.assert_allclose(
      features.patches, whole[:, :, 1:].reshape(3, 7, 2, 3, 16), atol=1e-5
  )
  np.testing.assert_allclose(features.cls, whole[:, :, 0], atol=1e-5)


def test_an_untrained_encoder_has_the_sizes_of_the_checkpoint_alone():
  trained = rvm_encoder.load(str(TINY))
  untrained = rvm_encoder.load_untrained(str(TINY))
  assert trained.name == 'RVM 48 wide'
  assert untrained.name == 'untrained RVM 48 wide'
  model, params = weights.load(TINY)
  assert trained.patch == untrained.patch == model.patch
  assert trained.identity == trees.fingerprint(params) != untrained.identity
  frames = np.zeros((1, 1, 32, 48, 3), np.uint8)
  frames[:, :, :, :20] = 200
  features = untrained.encode(frames)
  assert features.patches.shape == (1, 1, 2, 3, model.width)
  # Fresh parameters must not make all patches alike.
  assert features.patches.std(axis=(2, 3)).max() > 0.1


def test_models_of_the_papers_sizes_have_the_papers_names():
  for size, widths in rvm.SIZES.items():
    assert rvm_encoder.name_model(rvm.RVM(**widths)) == f'RVM-{size}'
