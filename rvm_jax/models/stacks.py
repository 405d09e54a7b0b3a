"""Stacks of blocks: how they are compiled, and what they keep for gradients."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from rvm_jax.ops import attention


def apply_blocks(
    parent: nn.Module,
    make_block: Callable[..., nn.Module],
    names: Sequence[str],
    scan_layers: bool,
    x: jax.Array,
    *context: jax.Array,
) -> jax.Array:
  """Applies blocks of one kind to tokens, one after the other.

  Blocks in a loop are compiled once, and not once for each block. The parameter
  tree is the same with and without a loop, with one subtree for each block; the
  parameters of all blocks are stacked before a loop begins.

  Args:
    parent: module in whose compact method this is called, which the blocks'
      parameters belong to.
    make_block: function that makes a block, given the argument `name` or
      `parent`.
    names: names of the blocks.
    scan_layers: whether the blocks run in one loop (`jax.lax.scan`).
    x: tokens that the first block takes.
    *context: further arguments, the same for each block.

  Returns:
    The tokens after the last block.
  """
  # Parameters are always initialised without a loop, so that their initial
  # values do not depend on `scan_layers`.
  if not scan_layers or parent.is_initializing():
    for name in names:
      x = make_block(name=name)(x, *context)
    return x
  params = [parent.variables['params'][name] for name in names]
  block = make_block(parent=None)

  def apply(x, params):
    return block.apply({'params': params}, x, *context), None

  x, _ = jax.lax.scan(apply, x, jax.tree.map(lambda *x: jnp.stack(x), *params))
  return x


# Policy that keeps what the backward pass of the kernel for TPUs needs besides
# its inputs.
_ATTENTION = jax.checkpoint_policies.save_only_these_names(*attention.RESIDUALS)

# Policies of `jax.checkpoint` by the value of `remat`, as `rematerialise`
# describes them.
REMAT_POLICIES = {
    'dots': jax.checkpoint_policies.save_from_both_policies(
        jax.checkpoint_policies.dots_with_no_batch_dims_saveable, _ATTENTION
    ),
    'attention': jax.checkpoint_policies.save_from_both_policies(
        _ATTENTION, attention.is_cudnn_forward
    ),
    'full': jax.checkpoint_policies.nothing_saveable,
}


def rematerialise(block: type[nn.Module], remat: str) -> type[nn.Module]:
  """Wraps a class so that its backward pass recomputes values to save memory.

  Args:
    block: class of the block.
    remat: how much of the forward pass is kept for the backward pass; the rest
      is computed again. 'none' keeps everything (nothing is recomputed). 'dots'
      keeps the outputs of dense layers, and those of attention by 'pallas_tpu';
      attention by 'cudnn' and 'xla' is computed again. 'attention' keeps the
      outputs of attention by 'pallas_tpu' and 'cudnn', so that only dense
      layers and norms are computed again; with 'xla' it keeps no more than
      'full'. 'full' keeps only the inputs of the block (everything is
      recomputed).

  Returns:
    The class, wrapped; `block` itself for 'none'.

  Raises:
    ValueError: `remat` is none of these.
  """
  if remat == 'none':
    return block
  if remat not in REMAT_POLICIES:
    raise ValueError(
        f'remat must be one of none, {", ".join(REMAT_POLICIES)}, got {remat!r}'
    )
  return nn.remat(block, policy=REMAT_POLICIES[remat])
