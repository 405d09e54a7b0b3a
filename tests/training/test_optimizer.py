"""AdamW: which parameters decay by how much, and the learning rate."""

import jax
import numpy as np
import pytest

from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training.objectives import pretraining
from rvm_jax.weights import trees
from tests import tiny

OBJECTIVE = pretraining.from_config(tiny.get_config())


def make(**changes):
  settings = dict(tiny.get_config().optimizer) | changes
  return optimizer_lib.make_optimizer(num_steps=100, **settings)


@pytest.fixture(scope='module')
def params():
  return jax.jit(OBJECTIVE.init)(jax.random.key(0))


@pytest.mark.parametrize(
    'core_decay, is_core, expected',
    [
        (0.3, OBJECTIVE.is_core, 0.3),
        (None, OBJECTIVE.is_core, 0.1),
        (0.3, None, 0.1),
    ],
)
def test_weight_decay_applies_to_kernels_and_the_core_has_its_own(
    params, core_decay, is_core, expected
):
  optimizer, schedule = make(
      weight_decay=0.1, core_weight_decay=core_decay, is_core=is_core
  )
  zeros = jax.tree.map(np.zeros_like, params)
  _, state = optimizer.update(zeros, optimizer.init(params), params)
  updates, _ = optimizer.update(zeros, state, params)
  updates, params = trees.flatten(updates), trees.flatten(params)
  for name, update in updates.items():
    decay = 0.0
    if name.endswith('/kernel'):
      decay = expected if name.startswith('rnn_core/') else 0.1
    np.testing.assert_allclose(
        update,
        -float(schedule(1)) * decay * params[name],
        rtol=1e-5,
        err_msg=name,
    )


@pytest.mark.parametrize('final', [0.0, 2e-4])
def test_learning_rate_warms_up_and_falls_to_the_final_one(final):
  _, schedule = make(warmup_steps=10, final_learning_rate=final)
  rates = [float(schedule(i)) for i in range(101)]
  assert rates[0] == 0 and np.argmax(rates) == 10
  assert rates[10] == pytest.approx(1e-3)
  assert rates[55] == pytest.approx((1e-3 + final) / 2)
  assert rates[100] == pytest.approx(final)
  np.testing.assert_allclose(np.diff(rates[:11]), 1e-4, rtol=1e-4)


def test_optimizer_scales_large_gradients_down_to_clip_norm(params):
  optimizer, _ = make(clip_norm=1.0, beta1=0.9)
  gradient = jax.tree.map(lambda x: np.full_like(x, 100), params)
  _, state = optimizer.update(gradient, optimizer.init(params), params)
  # The first moment is a tenth of the gradient as Adam was given it.
  norm = np.sqrt(sum(np.square(x).sum() for x in jax.tree.leaves(state[1].mu)))
  assert norm == pytest.approx(1 - 0.9, rel=1e-4)
