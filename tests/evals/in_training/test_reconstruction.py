"""Tests the evaluator that reconstructs a few fixed samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.data import pipeline
from rvm_jax.evals.in_training import reconstruction
from rvm_jax.training import protocols
from tests import tiny


class Grey:
  """An objective that predicts the same value for all pixels: its parameter."""

  batch = {'target': None}
  patch = 8

  def reconstruct(self, params, batch, rng):
    assert batch.keys() == {'target'}
    target = batch['target']
    visible = jax.random.randint(rng, (*target.shape[:2], 3), 0, 16)
    pixels = jnp.full_like(target, params, jnp.float32)
    return protocols.Reconstructed(target, visible, pixels)


class NoPixels:
  """An objective that predicts no pixels."""

  batch = {'source': None}

  def reconstruct(self, params, batch, rng):
    return None


def open_data():
  return pipeline.Pipeline(**tiny.get_config().data, seed=0)


def test_evaluator_returns_the_loss_of_all_pixels_and_a_picture():
  config = tiny.get_config()
  evaluate = reconstruction.ReconstructionEvaluator(config, open_data())
  scalars, pictures = evaluate(Grey(), 0.25)
  target = open_data().first(4)['target'] / 255
  assert scalars == {
      'loss': pytest.approx(np.square(target - 0.25).mean(), rel=1e-5)
  }

  # The picture has at least four rows of 32 pixels, and is reproducible.
  (sheet,) = pictures.values()
  assert sheet.dtype == np.uint8 and sheet.shape[0] >= 4 * 32
  again = reconstruction.ReconstructionEvaluator(config, open_data())
  np.testing.assert_array_equal(again(Grey(), 0.25)[1]['clips'], sheet)


def test_evaluator_returns_nothing_for_an_objective_without_pixels():
  evaluate = reconstruction.ReconstructionEvaluator(
      tiny.get_config(), open_data()
  )
  assert evaluate(NoPixels(), None) == ({}, {})


def test_evaluator_samples_masks_from_the_seed_of_the_run():
  config = tiny.get_config()
  sheets = []
  for config.seed in (0, 1):
    evaluate = reconstruction.ReconstructionEvaluator(config, open_data())
    sheets.append(evaluate(Grey(), 0.25)[1]['clips'])
  assert (sheets[0] != sheets[1]).any()


def test_evaluation_can_be_stopped_before_the_picture_is_drawn():
  def check():
    raise InterruptedError

  evaluate = reconstruction.ReconstructionEvaluator(
      tiny.get_config(), open_data(), check
  )
  with pytest.raises(InterruptedError):
    evaluate(Grey(), 0.25)
