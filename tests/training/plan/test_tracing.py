"""The bytes that a traced gradient keeps, and its FLOPs, counted by hand."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from rvm_jax.training import objectives
from rvm_jax.training.plan import chips
from rvm_jax.training.plan import tracing
from tests import tiny

CHIP = chips.CHIPS['v6e']


class Layers(NamedTuple):
  """An objective of two products, whose kept values can be listed by hand."""

  batch = {'x': jax.ShapeDtypeStruct((8, 16), jnp.float32)}

  def init(self, rng):
    return {'w': jnp.zeros((16, 32)), 'v': jnp.zeros((32, 4))}

  def cast(self, params):
    return params

  def sample(self, rng, batch):
    return (batch['x'],)

  def loss(self, params, x):
    hidden = jnp.sin(x @ params['w'])
    return (hidden @ params['v']).mean()


def test_kept_bytes_are_those_that_the_backward_pass_needs():
  traced = tracing.trace(Layers(), CHIP)
  # The cosine of the hidden values for the sine's gradient, and their sine for
  # that of v. The inputs and the parameters are there in any case.
  assert traced.clip_bytes == 2 * 32 * 4
  assert traced.fixed_bytes == 0


def test_flops_are_those_of_all_products():
  traced = tracing.trace(Layers(), CHIP)
  # The gradient of x is not needed: two products of the first layer, and three
  # of the second.
  assert traced.clip_flops == 2 * (2 * 16 * 32 + 3 * 32 * 4)


def test_flops_of_a_loop_count_each_round():
  def loop(x):
    return jax.lax.scan(lambda x, _: (x @ x, None), x, length=5)[0]

  jaxpr = jax.make_jaxpr(jax.jit(loop))(jnp.zeros((4, 4))).jaxpr
  assert tracing.count_flops(jaxpr) == 5 * 2 * 4**3


@pytest.fixture(scope='module')
def traced():
  """What tiny RVM needs, by the value of `remat`."""
  found = {}
  for remat in ('none', 'dots', 'full'):
    config = tiny.get_config()
    config.model.remat = remat
    found[remat] = tracing.trace(objectives.from_config(config), CHIP)
  return found


def test_recomputing_more_keeps_less(traced):
  sizes = [traced[remat].clip_bytes for remat in ('none', 'dots', 'full')]
  assert sizes == sorted(sizes, reverse=True)
  assert len(set(sizes)) == 3


def test_recomputing_more_takes_more_flops(traced):
  flops = [traced[remat].clip_flops for remat in ('none', 'dots', 'full')]
  assert flops == sorted(flops)
  assert flops[0] < flops[2]


def test_flops_without_recomputing_are_those_of_the_formula(traced):
  objective = objectives.from_config(tiny.get_config())
  expected = objective.flops_per_clip
  # No gradient is needed for the frames and the first state.
  assert traced['none'].clip_flops == pytest.approx(expected, rel=0.1)
