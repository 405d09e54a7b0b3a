"""The painted clips: always the same ones, and judged on all pixels."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.data import pipeline
from rvm_jax.evals.in_training import reconstruction
from tests import tiny


@dataclasses.dataclass(frozen=True)
class Plain:
  """Paints everything in the one grey that it has as its parameters."""

  patch: int = 8

  def apply(self, variables, source, target, deltas, visible):
    assert len(source) == len(deltas) == len(visible) == 4
    return jnp.full_like(target, variables['params'])


def open_data():
  return pipeline.Pipeline(**tiny.get_config().data, seed=0)


def test_loss_is_of_all_pixels_and_the_picture_is_of_all_clips():
  config = tiny.get_config()
  evaluate = reconstruction.Reconstruction(config, open_data())
  scalars, pictures = evaluate(Plain(), 0.25)
  target = open_data().first(4)['target'] / 255
  assert scalars == {
      'loss': pytest.approx(np.square(target - 0.25).mean(), rel=1e-5)
  }
  (sheet,) = pictures.values()
  assert sheet.dtype == np.uint8 and sheet.shape[0] >= 4 * 32
  again = reconstruction.Reconstruction(config, open_data())
  np.testing.assert_array_equal(again(Plain(), 0.25)[1]['clips'], sheet)
