"""Sequences are padded for cuDNN, which XLA replaces in the tests."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops.attention import cudnn
from tests.ops.attention import definition


@pytest.mark.parametrize('num_queries, num_keys', [(5, 70), (128, 64), (65, 9)])
def test_lengths_are_padded_and_the_padding_is_ignored(
    monkeypatch, num_queries, num_keys
):
  lengths = []
  compute = jax.nn.dot_product_attention

  def attend_by_xla(query, key, value, *, implementation, **settings):
    assert implementation == 'cudnn'
    lengths.append((query.shape[1], key.shape[1], value.shape[1]))
    return compute(query, key, value, implementation='xla', **settings)

  monkeypatch.setattr(jax.nn, 'dot_product_attention', attend_by_xla)
  *inputs, gradient = definition.sample(
      0, num_queries, num_keys, 3, 8, jnp.float32
  )
  attend = functools.partial(cudnn.attend, num_heads=3)
  out, pull_back = jax.vjp(attend, *inputs)
  # Training needs multiples of 64.
  assert not any(x % 64 for x in lengths[0])
  found = out, *pull_back(gradient)
  for x, y in zip(found, definition.attend(*inputs, gradient, 3), strict=True):
    np.testing.assert_allclose(x, y, atol=3e-6)
