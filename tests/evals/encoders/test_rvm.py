"""Tests RVM as a frozen encoder: features, untrained parameters and names."""

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
def expected():
  """Features of videos encoded in one call, CLS first: [B, T, 1 + N, D]."""
  encode = jax.jit(functools.partial(tiny_rvm.MODEL.apply, method='encode'))
  frames = jnp.float32(FRAMES) / 255
  return encode({'params': tiny_rvm.make_params()}, frames)[0]


# A frame has 1 + 2 * 3 tokens and so 49 attention scores for each video. With
# two videos on a device, a limit of 300 scores gives parts of three frames, the
# last of which is padded, and a limit of 1 gives parts of one frame.
@pytest.mark.parametrize('max_scores', [300, 1])
def test_features_of_parts_equal_those_of_the_whole_video(
    max_scores, expected, monkeypatch
):
  monkeypatch.setattr(streaming, '_MAX_SCORES', max_scores)
  # The features change over time, so that a state that is not passed on would
  # make the test fail.
  assert np.abs(np.diff(expected[:, :, 1:], axis=1)).min(1).max() > 1e-3
  params = tiny_rvm.make_params()
  encoder = rvm_encoder.from_model('any', tiny_rvm.MODEL, params)
  assert encoder.identity == trees.fingerprint(params)
  features = encoder.encode(FRAMES)
  for array in features:
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
  np.testing.assert_allclose(
      features.patches, expected[:, :, 1:].reshape(3, 7, 2, 3, 16), atol=1e-5
  )
  np.testing.assert_allclose(features.cls, expected[:, :, 0], atol=1e-5)


def test_untrained_encoder_has_the_sizes_but_not_the_parameters():
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
  # Initial parameters must not give all patches the same features.
  assert features.patches.std(axis=(2, 3)).max() > 0.1


def test_frames_are_centred_only_for_models_with_content_first():
  assert not rvm_encoder.load(str(TINY)).center_frames
  assert rvm_encoder.load('rvm_tiny').center_frames
  assert rvm_encoder.load_untrained('rvm_tiny').center_frames


def test_name_model_gives_the_names_of_the_paper_to_its_sizes():
  for size, widths in rvm.SIZES.items():
    assert rvm_encoder.name_model(rvm.RVM(**widths)) == f'RVM-{size}'
