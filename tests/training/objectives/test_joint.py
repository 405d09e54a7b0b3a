"""The ablation of RVM's core: all frames attend to each other."""

import jax
import numpy as np
import pytest

from rvm_jax import weights
from rvm_jax.training.objectives import pretraining
from tests import tiny
from tests.training.objectives import tiny_rivals

OBJECTIVE = tiny_rivals.make('joint')


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


def test_parameters_are_rvms_but_for_the_core(params):
  rvm = pretraining.from_config(tiny.get_config())
  expected = jax.eval_shape(rvm.init, jax.random.key(0))
  assert params.keys() == expected.keys()
  assert params['rnn_core'].keys() == {'transformer'}
  for key in params.keys() - {'rnn_core'}:
    assert jax.tree.map(np.shape, params[key]) == jax.tree.map(
        lambda x: x.shape, expected[key]
    )
  assert OBJECTIVE.is_core('rnn_core/transformer/layers_0/mlp/dense_in/kernel')


def test_features_depend_on_all_frames_of_a_window_and_on_no_other(params):
  frames = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3))
  frames = frames.astype(np.uint8)
  assert OBJECTIVE.clip_length == 2
  encode = jax.jit(OBJECTIVE.encode)
  before = encode(params, frames)
  changed = frames.copy()
  changed[:, 1] = 255 - frames[:, 1]
  moved = np.abs(encode(params, changed) - before).max((0, 2, 3, 4))
  assert moved[0] > 1e-3
  np.testing.assert_array_equal(moved[2:], 0)


def test_order_of_the_frames_matters(params):
  frames = np.random.default_rng(0).integers(0, 256, (1, 2, 32, 32, 3))
  frames = frames.astype(np.uint8)
  turned = OBJECTIVE.encode(params, frames[:, ::-1])
  found = OBJECTIVE.encode(params, frames)
  assert np.abs(turned[:, ::-1] - found).max() > 1e-3


def test_a_run_is_not_taken_for_one_of_an_rvm():
  assert 'joint' not in weights.runs.RVM_OBJECTIVES


def test_attention_is_reported_without_an_update_gate(params):
  batch = {
      key: np.zeros(shape.shape, shape.dtype)
      for key, shape in OBJECTIVE.batch.items()
  }
  found = jax.jit(OBJECTIVE.attend)(params, batch, jax.random.key(0))
  assert found.update_gate is None
  assert np.isfinite(found.weights).all()
