"""Stacks compute what their blocks do, however they are compiled."""

import jax
import jax.ad_checkpoint
import jax.numpy as jnp
import numpy as np
import pytest

from rvm_jax.models import layers
from rvm_jax.models import stacks
from rvm_jax.ops.attention import pallas_tpu
from tests.models import tiny_blocks

SIZES = tiny_blocks.SIZES
X = tiny_blocks.X  # [B, K, N, D]
CONTEXT = tiny_blocks.CONTEXT  # [B, M, D]


@pytest.mark.parametrize('remat', ['none', 'dots', 'full'])
@pytest.mark.parametrize('scan_layers', [False, True])
def test_blocks_in_a_loop_compute_the_same_from_the_same_parameters(
    scan_layers, remat
):
  def make(scan_layers, remat):
    return layers.CrossTransformer(
        num_layers=3, remat=remat, scan_layers=scan_layers, **SIZES
    )

  def loss(params, stack):
    return jnp.square(stack.apply({'params': params}, X, CONTEXT)).sum()

  plain, stack = make(False, 'none'), make(scan_layers, remat)
  p, found = (tiny_blocks.init(m, X, CONTEXT) for m in (plain, stack))
  jax.tree.map(np.testing.assert_array_equal, found, p)
  expected = jax.jit(jax.value_and_grad(lambda p: loss(p, plain)))(p)
  found = jax.jit(jax.value_and_grad(lambda p: loss(p, stack)))(p)
  jax.tree.map(
      lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4),
      found,
      expected,
  )
  is_loop = 'scan[' in str(jax.make_jaxpr(lambda p: loss(p, stack))(p))
  assert is_loop == scan_layers


def test_rematerialise_repeats_the_products_that_are_not_kept():
  counts = []
  for remat in 'none', 'dots', 'full':
    block = stacks.rematerialise(layers.Block, remat)(**SIZES)
    params = tiny_blocks.init(block, X[0])

    def loss(params, block=block):
      return jnp.square(block.apply({'params': params}, X[0])).sum()

    jaxpr = jax.make_jaxpr(jax.grad(loss))(params)
    counts.append(str(jaxpr).count('dot_general['))
  none, dots, full = counts
  # 'dots' repeats the two products of the attention, which have batch axes.
  assert dots == none + 2 and full > dots


@pytest.mark.parametrize(
    'remat, is_kept', [('dots', True), ('attention', True), ('full', False)]
)
def test_rematerialise_keeps_what_the_kernel_needs_for_its_gradient(
    monkeypatch, capsys, remat, is_kept
):
  def attend(query, key, value, num_heads, _):
    return pallas_tpu.attend(query, key, value, num_heads, interpret=True)

  monkeypatch.setattr(layers.attention, 'attend', attend)
  block = stacks.rematerialise(layers.Block, remat)(**SIZES)
  params = jax.eval_shape(block.init, jax.random.key(0), X[0])
  jax.ad_checkpoint.print_saved_residuals(block.apply, params, X[0])
  kept = capsys.readouterr().out
  for name in 'attention_out', 'attention_log_sum':
    assert (f"named '{name}'" in kept) == is_kept


def test_rematerialise_refuses_an_unknown_argument():
  with pytest.raises(ValueError, match='none, dots, attention, full, got'):
    stacks.rematerialise(layers.Block, 'some')
