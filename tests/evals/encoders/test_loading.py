"""Tests making encoders from values of the flag `--checkpoint`."""

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
def test_load_makes_the_kind_of_encoder_that_the_flag_asks_for(
    checkpoint, name, patch
):
  encoder = loading.load(checkpoint)
  assert (encoder.name, encoder.patch) == (name, patch)
  if checkpoint == TINY:
    assert encoder.identity == rvm_encoder.load(TINY).identity
  elif 'untrained' not in checkpoint:
    assert encoder.identity == checkpoint


def test_oracle_without_ground_truth_rejects_frames():
  with pytest.raises(ValueError, match='truth:8 is for configs/eval_scenes'):
    loading.load('truth:8').encode(np.zeros((1, 1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize(
    'checkpoint', ['raw:', 'raw:x', 'raw:0', 'raw:-8', 'truth:x']
)
def test_load_rejects_patch_sides_that_are_not_positive_integers(checkpoint):
  with pytest.raises(ValueError, match=f':16, got {checkpoint}'):
    loading.load(checkpoint)


def test_load_rejects_a_path_that_does_not_exist(tmp_path):
  with pytest.raises(FileNotFoundError, match='nothing.npz'):
    loading.load(str(tmp_path / 'nothing.npz'))
