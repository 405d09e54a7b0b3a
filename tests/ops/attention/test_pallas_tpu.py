"""The kernels for TPUs, interpreted, against the definition in float64."""

import functools

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.ops import attention
from rvm_jax.ops.attention import pallas_tpu
from rvm_jax.ops.attention import xla
from tests.ops.attention import definition

# Numbers of queries, of keys and of heads, and the width of a head.
SHAPES = [
    (257, 257, 2, 64),
    (257, 257, 8, 48),
    (1028, 1028, 4, 32),
    (65, 257, 8, 80),
    (13, 257, 4, 32),
    (1, 1, 2, 64),
    (513, 7, 3, 16),
    (129, 130, 5, 48),
]


def with_gradients(attend, query, key, value, gradient):
  @jax.jit
  def run(query, key, value, gradient):
    out, pull_back = jax.vjp(attend, query, key, value)
    return out, *pull_back(gradient)

  return run(query, key, value, gradient)


def attend_interpreted(num_heads):
  return functools.partial(
      pallas_tpu.attend, num_heads=num_heads, interpret=True
  )


@pytest.mark.parametrize('num_queries, num_keys, num_heads, width', SHAPES)
def test_attend_equals_the_definition(num_queries, num_keys, num_heads, width):
  arrays = definition.sample(
      0, num_queries, num_keys, num_heads, width, jnp.float32, batch=1
  )
  found = with_gradients(attend_interpreted(num_heads), *arrays)
  expected = definition.attend(*arrays, num_heads)
  for x, y in zip(found, expected, strict=True):
    # If there is one key, all weights are 1, and the gradients of the scores
    # are 0.
    if y.any():
      assert definition.largest_error(x, y) < 3e-6
    else:
      assert abs(x).max() < 1e-6


def test_attend_subtracts_the_largest_score():
  *inputs, gradient = definition.sample(0, 9, 12, 2, 64, jnp.float32)
  inputs = [30 * x for x in inputs]
  found = with_gradients(attend_interpreted(2), *inputs, gradient)
  expected = definition.attend(*inputs, gradient, 2)
  for x, y in zip(found, expected, strict=True):
    np.testing.assert_allclose(x, y, atol=3e-3)


def test_attend_in_blocks_subtracts_the_largest_score():
  *inputs, gradient = definition.sample(0, 128, 12, 2, 64, jnp.float32)
  inputs = [30 * x for x in inputs]
  found = with_gradients(attend_interpreted(2), *inputs, gradient)
  expected = definition.attend(*inputs, gradient, 2)
  for x, y in zip(found, expected, strict=True):
    assert definition.largest_error(x, y) < 1e-3


@pytest.mark.parametrize('num_heads, width', [(2, 64), (8, 48)])
def test_attend_in_bfloat16_is_as_exact_as_xla(num_heads, width):
  arrays = definition.sample(
      0, 257, 257, num_heads, width, jnp.bfloat16, batch=1
  )
  found = with_gradients(attend_interpreted(num_heads), *arrays)
  other = with_gradients(
      functools.partial(xla.attend, num_heads=num_heads), *arrays
  )
  expected = definition.attend(*arrays, num_heads)
  for x, y, z in zip(found, other, expected, strict=True):
    assert x.dtype == jnp.bfloat16
    error = definition.largest_error(x, z)
    assert error < 0.01 and error < 2 * definition.largest_error(y, z)


def test_groups_of_heads_do_not_mix(monkeypatch):
  # Of four heads each grid step takes two.
  monkeypatch.setattr(pallas_tpu, '_MAX_ITEMS', 1)
  assert pallas_tpu.group_width(256, 64, 129) == 128
  arrays = definition.sample(0, 129, 12, 4, 64, jnp.float32)
  found = with_gradients(attend_interpreted(4), *arrays)
  for x, y in zip(found, definition.attend(*arrays, 4), strict=True):
    assert definition.largest_error(x, y) < 3e-6


def test_sequences_do_not_mix():
  arrays = definition.sample(0, 9, 12, 2, 64, jnp.float32, batch=3)
  attend = attend_interpreted(2)
  together = with_gradients(attend, *arrays)
  alone = with_gradients(attend, *(x[1:2] for x in arrays))
  for x, y in zip(together, alone, strict=True):
    assert jnp.array_equal(x[1:2], y)


def test_group_width_is_that_of_whole_heads_and_whole_vectors_of_lanes():
  assert pallas_tpu.group_width(384, 64, 257) == 384
  assert pallas_tpu.group_width(512, 32, 257) == 512
  assert pallas_tpu.group_width(512, 32, 1028) == 128
  assert pallas_tpu.group_width(384, 48, 257) == 384
  assert pallas_tpu.group_width(1280, 80, 257) == 1280
  assert pallas_tpu.group_width(1280, 80, 4000) == 640
  # Groups that do not divide the channels would read beyond them.
  assert pallas_tpu.group_width(640, 32, 257) == 128
  assert pallas_tpu.group_width(320, 32, 1028) == 320
  assert pallas_tpu.group_width(16, 8, 257) == 16


def test_count_scores_is_that_of_all_heads_of_a_group():
  # A group of 128 channels has 4 heads.
  assert pallas_tpu.count_scores(1028, 257, 512, 32) == 4 * 1028 * 257


def test_residuals_are_kept_by_their_names(capsys):
  inputs = definition.sample(0, 9, 12, 2, 64, jnp.float32)[:3]
  policy = jax.checkpoint_policies.save_only_these_names(*attention.RESIDUALS)
  attend = jax.checkpoint(attend_interpreted(2), policy=policy)
  jax.ad_checkpoint.print_saved_residuals(attend, *inputs)
  kept = capsys.readouterr().out
  assert "f32[2,1,2,9] named 'attention_log_sum'" in kept
  # The result, and the three inputs.
  assert kept.count('f32[2,9,128]') == 2 and kept.count('f32[2,12,128]') == 2


def test_kernels_may_take_the_memory_that_they_need():
  query, key = (
      jax.ShapeDtypeStruct((1, size, 512), jnp.bfloat16)
      for size in (1028, 2056)
  )
  jaxpr = str(jax.make_jaxpr(attend_interpreted(16))(query, key, key))
  need = pallas_tpu.count_bytes(1028, 2056, 512, 32, 2)
  assert need > 16 * 2**20 and f'vmem_limit_bytes={need}' in jaxpr
