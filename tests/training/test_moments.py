"""Adam's moments in another dtype, and what becomes of them on resuming."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rvm_jax.storage import digests
from rvm_jax.training import checkpoints
from rvm_jax.training import moments
from rvm_jax.training import optimizer as optimizer_lib
from rvm_jax.training import step as step_lib
from tests import tiny

PARAMS = {'a': jnp.arange(12.0).reshape(3, 4), 'b': jnp.ones(5)}


def gradients(count):
  rng = np.random.default_rng(0)
  for _ in range(count):
    yield jax.tree.map(lambda x: rng.normal(size=x.shape).astype('f4'), PARAMS)


def follow(optimizer, count):
  """The updates and the state of the last of some steps."""
  state = optimizer.init(PARAMS)
  for gradient in gradients(count):
    updates, state = optimizer.update(gradient, state, PARAMS)
  return updates, state


def test_float32_moments_are_those_of_optax_bit_for_bit():
  found = follow(moments.adam(0.9, 0.95, 'float32'), 3)
  expected = follow(optax.scale_by_adam(0.9, 0.95), 3)
  assert jax.tree.structure(found) == jax.tree.structure(expected)
  jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_bfloat16_moments_are_computed_in_float32_and_then_rounded():
  adam, wide = moments.adam(0.9, 0.95, 'bfloat16'), optax.scale_by_adam(
      0.9, 0.95
  )
  _, state = follow(adam, 5)
  moments_ = state.mu, state.nu
  assert {x.dtype for x in jax.tree.leaves(moments_)} == {jnp.dtype('bfloat16')}
  (gradient,) = gradients(1)
  updates, found = adam.update(gradient, state)
  mu, nu = optax.tree.cast(moments_, jnp.float32)
  expected_updates, expected = wide.update(
      gradient, state._replace(mu=mu, nu=nu)
  )
  jax.tree.map(np.testing.assert_array_equal, updates, expected_updates)
  assert updates['a'].dtype == np.float32
  jax.tree.map(
      lambda x, y: np.testing.assert_array_equal(x, y.astype(jnp.bfloat16)),
      (found.mu, found.nu),
      (expected.mu, expected.nu),
  )


@pytest.mark.parametrize('steps', [3, 200])
def test_bfloat16_moments_stay_near_those_in_float32(steps):
  found, _ = follow(moments.adam(0.9, 0.99, 'bfloat16'), steps)
  expected, _ = follow(moments.adam(0.9, 0.99, 'float32'), steps)
  jax.tree.map(
      functools.partial(np.testing.assert_allclose, rtol=0.03, atol=0.01),
      found,
      expected,
  )


def make_state(dtype):
  settings = dict(tiny.get_config().optimizer) | {'moments_dtype': dtype}
  optimizer, _ = optimizer_lib.make_optimizer(num_steps=9, **settings)
  _, opt_state = follow(optimizer, 2)
  state = step_lib.TrainState(
      step=jnp.asarray(2, jnp.int32),
      params=PARAMS,
      opt_state=opt_state,
      rng=jax.random.key(0),
  )
  shapes = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
      jax.device_put(state, jax.devices()[0]),
  )
  return state, shapes


@pytest.mark.parametrize('saved', ['float32', 'bfloat16'])
@pytest.mark.parametrize('wanted', ['float32', 'bfloat16'])
def test_a_run_resumes_with_moments_in_the_dtype_that_its_config_names(
    tmp_path, warnings, saved, wanted
):
  def open_run():
    return checkpoints.Checkpoints(
        tmp_path,
        save_every=1,
        keep_last=1,
        keep_every=9,
        init_from=None,
        fresh_decoder=False,
    )

  config = {'num_steps': 9, 'objective': 'rvm', 'model': {}}
  state, _ = make_state(saved)
  run = open_run()
  run.save(2, state, {'at': 2}, config)
  run.finish(is_last=True)
  run.close()

  _, shapes = make_state(wanted)
  restored, _ = open_run().restore(shapes, config)
  found, before, after = map(digests.flatten, (restored, state, shapes))
  assert found.keys() == before.keys()
  for key, leaf in found.items():
    assert leaf.dtype == after[key].dtype, key
    if key != 'rng':
      expected = before[key].astype(leaf.dtype)
      np.testing.assert_array_equal(leaf, expected, err_msg=key)
  told = [x for x in warnings if 'moments' in x]
  if saved == wanted:
    assert not told
  else:
    assert f'are converted from {saved} to {wanted}' in told[0]
