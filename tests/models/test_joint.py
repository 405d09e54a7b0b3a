"""The transformer that replaces RVM's core in the ablation."""

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.models import joint


def test_every_frame_depends_on_all_frames_and_the_state_is_passed_on():
  core = joint.JointTransformer(8, 1, 2, 16, jnp.float32, 'xla', 'none')
  tokens = np.random.default_rng(0).normal(size=(1, 3, 4, 8))
  tokens = tokens.astype(np.float32)
  state = jnp.ones((1, 4, 8))
  params = jax.jit(core.init)(jax.random.key(0), tokens, state)

  def first_and_last(tokens):
    found, after = core.apply(params, tokens, state)
    assert after is state
    return found[0, 0, 0, 0], found[0, 2, 0, 0]

  for slope in jax.jit(jax.jacrev(first_and_last))(tokens):
    assert (np.abs(slope[0]).max((1, 2)) > 0).all()
