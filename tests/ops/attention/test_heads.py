"""Where heads lie in a group, products in float32, and rows of few queries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops.attention import heads


@pytest.mark.parametrize(
    'group, width, lanes',
    [
        (128, 64, [(0, 128)] * 2),
        # A head that ends at a whole vector takes none of the next.
        (384, 48, [(0, 128)] * 2 + [(0, 256)] + [(128, 256)] * 2),
        (256, 64, [(0, 128)] * 2 + [(128, 256)] * 2),
        (16, 8, [(0, 16)] * 2),
    ],
)
def test_split_takes_the_vectors_that_contain_a_head(group, width, lanes):
  found = heads.split(group, width)
  assert len(found) == group // width
  for head, (start, stop) in zip(found, lanes):
    assert (head.lanes.start, head.lanes.stop) == (start, stop)
  for number, head in enumerate(found):
    assert head.number == number
    channels = head.lanes.start + np.flatnonzero(head.mask[0])
    np.testing.assert_array_equal(channels, np.arange(group)[head.rows])
    assert head.rows == slice(number * width, (number + 1) * width)


@pytest.mark.parametrize(
    'dtype, is_exact', [('float32', True), ('bfloat16', False)]
)
def test_dot_is_exact_in_float32_and_sums_in_float32(dtype, is_exact):
  def multiply(a, b):
    return heads.dot(a, b, heads.ABT)

  x = jnp.ones((2, 3), dtype)
  assert multiply(x, x).dtype == jnp.float32
  assert ('HIGHEST' in str(jax.make_jaxpr(multiply)(x, x))) == is_exact


def test_stack_gives_each_head_of_the_rest_a_row():
  x = np.random.default_rng(0).normal(size=(2, 24)).astype(np.float32)
  stack = heads.Stack(2, 24, 8, jnp.float32)
  rows = stack.spread(jnp.asarray(x))
  expected = np.zeros((3, 2, 24), np.float32)
  for head in range(3):
    channels = slice(8 * head, 8 * head + 8)
    expected[head, :, channels] = x[:, channels]
  np.testing.assert_allclose(rows, expected.reshape(6, 24), rtol=1e-6)
  # Of each row only the channels of its head are taken.
  noise = jnp.where(rows == 0, 7, rows)
  np.testing.assert_allclose(stack.collect(noise), x, rtol=1e-6)
