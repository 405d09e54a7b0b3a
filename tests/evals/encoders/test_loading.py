"""Encoders by the names that a command line gives them."""

import pathlib

import numpy as np
import pytest

from rvm_jax.evals.encoders import loading
from rvm_jax.evals.encoders import rvm as rvm_encoder

TINY = str(pathlib.Path(__file__).parents[2] / 'golden/rvm_tiny_params.npz')


@pytest.mark.parametrize(
    'checkpoint, name, patch',
    [
        (TINY, 'RVM 48 wide', 16),
        (f'untrained:{TINY}', 'untrained RVM 48 wide', 16),
        ('raw:8', 'raw pixels', 8),
        ('truth:14', 'oracle', 14),
    ],
)
def test_a_checkpoint_names_an_encoder_of_its_kind(checkpoint, name, patch):
  encoder = loading.load(checkpoint)
  assert (encoder.name, encoder.patch) == (name, patch)
  if checkpoint == TINY:
    assert encoder.identity == rvm_encoder.load(TINY).identity
  elif 'untrained' not in checkpoint:
    assert encoder.identity == checkpoint


def test_the_oracle_refuses_frames_until_it_knows_ground_truth():
  with pytest.raises(ValueError, match='truth:8 is for configs/eval_scenes'):
    loading.load('truth:8').encode(np.zeros((1, 1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    'checkpoint', ['raw:', 'raw:x', 'raw:0', 'raw:-8', 'truth:x']
)
def test_patches_without_a_side_are_refused(checkpoint):
  with pytest.raises(ValueError, match=f':16, got {checkpoint}'):
    loading.load(checkpoint)


def test_a_path_with_nothing_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.npz'):
    loading.load(str(tmp_path / 'nothing.npz'))
