"""The evaluator of representations: held-out scenes, and what it can tell."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.evals import carried_masks
from rvm_jax.ops import patches
from rvm_jax.training import mesh as mesh_lib
from tests import tiny


@dataclasses.dataclass(frozen=True)
class Pixels:
  """Its features are the pixels times its parameters."""

  patch: int = 4

  def apply(self, variables, frames, method):
    assert method == 'encode' and frames.dtype == jnp.float32
    tokens = patches.patchify(frames, self.patch) * variables['params']
    tokens = jnp.pad(tokens, ((0, 0), (0, 0), (1, 0), (0, 0)))  # A CLS.
    return tokens, tokens[:, -1]


@pytest.fixture(scope='module')
def evaluator():
  config = tiny.get_config()
  config.data.update(height=32, width=48)
  return carried_masks.CarriedMasks(config)


def test_tells_features_that_see_from_features_that_do_not(evaluator):
  with jax.set_mesh(mesh_lib.make_mesh(1)):  # As in a run, on two devices.
    scalars, pictures = evaluator(Pixels(), 1.0)
    blind, _ = evaluator(Pixels(), 0.0)
  assert 0.15 < scalars['j_and_f'] < 1
  assert blind['j_and_f'] < 0.7 * scalars['j_and_f']
  (sheet,) = pictures.values()
  assert sheet.dtype == np.uint8 and sheet.shape[0] >= 3 * 32
  assert evaluator(Pixels(), 1.0)[0] == scalars
