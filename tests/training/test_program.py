"""The program of a run: its initial state, and the steps it dispatches."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.training import program as program_lib
from tests import tiny
from tests.training import test_loop


@pytest.fixture
def program():
  config = tiny.get_config()
  config.optimizer.update(
      learning_rate=0.1, warmup_steps=1, weight_decay=0.0, clip_norm=1e9
  )
  return program_lib.build(config, test_loop.Mean())


def test_build_gives_the_shapes_that_init_returns(program):
  with jax.set_mesh(program.mesh):
    state = program.init(0)
  assert jax.eval_shape(lambda: state) == jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), program.shapes
  )
  assert program.guard is None


def test_dispatch_takes_from_a_batch_what_the_objective_names(program):
  batch = {'source': np.ones((4, 2), np.float32), 'clip': np.zeros(4, object)}
  with jax.set_mesh(program.mesh):
    state, _ = program.dispatch(program.init(0), batch)
    mean = float(state.params['mean'][0])
    state, metrics = program.dispatch(state, batch)
  # The learning rate of the first step is 0, and Adam's first move has the size
  # of the learning rate, which is at its peak in the second step.
  assert float(metrics['loss']) == pytest.approx((mean - 1) ** 2, rel=1e-6)
  moved = abs(float(state.params['mean'][0]) - mean)
  assert moved == pytest.approx(float(program.schedule(1)), rel=1e-3)
  assert int(state.step) == 2
  assert jnp.isfinite(metrics['gradient_norm'])


def test_parameters_are_counted_and_listed_only_on_demand(caplog):
  for verbosity in (logging.INFO, logging.DEBUG):
    caplog.clear()
    with caplog.at_level(verbosity, logger='absl'):
      program_lib.build(tiny.get_config(), test_loop.Mean())
    assert '0.0 million parameters' in caplog.text
    assert ('| mean' in caplog.text) == (verbosity == logging.DEBUG)
