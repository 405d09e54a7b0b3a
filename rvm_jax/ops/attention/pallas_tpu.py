"""Attention for TPUs whose scores never leave the chip, for short sequences.

A grid step holds all queries, keys and values of one sequence in VMEM, for a
group of heads whose channels fill whole vectors of lanes, as `group_width`
chooses it. The arrays are read as the dense layers write them, [B, N, D] with
the heads side by side, without a transposition in HBM.

What a grid step computes is described in `kernels`.
"""

import functools
import math

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
import jax.numpy as jnp

from rvm_jax.ops.attention import heads
from rvm_jax.ops.attention import kernels

# Names of the arrays that the backward pass needs next to its inputs, for
# policies of rematerialisation.
OUT = 'attention_out'
LOG_SUM = 'attention_log_sum'

# Bytes of VMEM of a core, by the kind of device.
_VMEM = {
    'TPU v5 lite': 128 * 2**20,
    'TPU v5e': 128 * 2**20,
    'TPU v5': 64 * 2**20,
    'TPU v5p': 64 * 2**20,
    'TPU v6 lite': 128 * 2**20,
    'TPU v6e': 128 * 2**20,
    'TPU7x': 64 * 2**20,
}
# Bytes of VMEM that any kind of TPU has, for kinds that are not listed above.
_LEAST_VMEM = 16 * 2**20
# Largest number of pairs of a head and a block of queries in a grid step. Only
# the smallest possible group of heads may have more. With many pairs the units
# of a chip are better used, but the time to compile grows.
_MAX_ITEMS = 16
# Largest number of scores in a grid step. They are computed without a loop, so
# that the time to compile grows with their number.
MAX_SCORES = 2**25


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    num_heads: int,
    interpret: bool = False,
) -> jax.Array:
  """Computes attention with float32 scores and softmax.

  Products of float32 arrays are computed in full float32, whatever
  `jax.default_matmul_precision` says.

  Args:
    query: queries, [B, Q, D], heads side by side.
    key: keys, [B, M, D].
    value: values, [B, M, D].
    num_heads: number of heads, a divisor of D.
    interpret: whether to run the kernels as array operations, for tests on
      devices that are no TPU.

  Returns:
    Weighted means of the values, [B, Q, D], in the dtype of the values.
  """
  return _attend(query, key, value, query.shape[-1] // num_heads, interpret)


def group_width(width: int, head_width: int, num_queries: int) -> int:
  """Returns G, the number of channels of the group of heads of a grid step.

  A group has all channels, unless the grid step would then have more than
  `_MAX_ITEMS` pairs of a head and a block of queries to compute. In that case G
  is a smaller multiple of lcm(128, C), so that the group holds whole heads and
  fills whole vectors of lanes. If D itself is not a multiple of lcm(128, C), a
  group always has all channels.

  Args:
    width: D, number of channels of all heads.
    head_width: C, number of channels of a head.
    num_queries: Q, number of queries.
  """
  least = math.lcm(heads.LANES, head_width)
  if width % least:
    return width
  most = _MAX_ITEMS // kernels.count_blocks(num_queries) * head_width
  groups = range(width, least, -least)
  return next((x for x in groups if x <= most and width % x == 0), least)


def count_scores(
    num_queries: int, num_keys: int, width: int, head_width: int
) -> int:
  """Returns the number of scores that a grid step computes.

  Args:
    num_queries: Q, number of queries.
    num_keys: M, number of keys.
    width: D, number of channels of all heads.
    head_width: C, number of channels of a head.
  """
  group = group_width(width, head_width, num_queries)
  return group // head_width * num_queries * num_keys


def vmem_bytes(device_kind: str) -> int:
  """Returns how many bytes of VMEM a kernel may take on a kind of TPU.

  A quarter is left to the compiler, for what it keeps there across the kernel.
  """
  return _VMEM.get(device_kind, _LEAST_VMEM) * 3 // 4


def count_bytes(
    num_queries: int, num_keys: int, width: int, head_width: int, itemsize: int
) -> int:
  """Returns how many bytes of VMEM a kernel takes, at most.

  This is the need of the backward kernel. The forward kernel takes less.

  Args:
    num_queries: Q, number of queries.
    num_keys: M, number of keys.
    width: D, number of channels of all heads.
    head_width: C, number of channels of a head.
    itemsize: bytes of a number of the queries, keys and values.
  """
  lanes = (
      pl.cdiv(group_width(width, head_width, num_queries), heads.LANES)
      * heads.LANES
  )
  # Four arrays [Q, lanes] (queries, result and their gradients) and four
  # [M, lanes] (keys, values and their gradients), for two grid steps: one is
  # computed while the arrays of the other are copied.
  blocks = 2 * 4 * (num_queries + num_keys) * lanes * itemsize
  # Sums of the gradients of keys and values, and the transposed keys.
  sums = num_keys * lanes * (2 * 4 + itemsize)
  # Arrays [M, block] of two pairs of a head and a block at a time: three in
  # float32 (weights, their gradients, and the gradients of the scores), and two
  # in the dtype of the inputs (weights and gradients of the scores, as factors
  # of products).
  block = min(kernels.BLOCK, pl.cdiv(num_queries, heads.LANES) * heads.LANES)
  scores = 2 * num_keys * block * (3 * 4 + 2 * itemsize)
  return blocks + sums + scores


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _attend(query, key, value, head_width, interpret):
  """Computes attention, [B, Q, D], by a kernel, and its gradient by another."""
  out, _ = _run_forward(query, key, value, head_width, interpret)
  return out


def _run_forward(query, key, value, head_width, interpret):
  """Returns the result and `log_sum`, float32 [B, groups, heads, Q].

  `log_sum` is the base 2 logarithm of the sum of exponentials that the softmax
  divides by, as if no maximum had been subtracted from the scores.
  """
  batch, num_queries, width = query.shape
  group = group_width(width, head_width, num_queries)
  log_sum = jax.ShapeDtypeStruct(
      (batch, width // group, group // head_width, num_queries), jnp.float32
  )
  return _run(
      kernels.attend_forward,
      (query, key, value),
      (query, log_sum),
      head_width,
      interpret,
  )


def _keep_residuals(query, key, value, head_width, interpret):
  """Returns the result, and the arrays that the backward pass needs."""
  out, log_sum = _run_forward(query, key, value, head_width, interpret)
  out = checkpoint_name(out, OUT)
  log_sum = checkpoint_name(log_sum, LOG_SUM)
  return out, (query, key, value, out, log_sum)


def _run_backward(head_width, interpret, residuals, gradient):
  """Returns the gradients of queries, keys and values."""
  query, key, value, _, _ = residuals
  return _run(
      kernels.attend_backward,
      (*residuals, gradient),
      (query, key, value),
      head_width,
      interpret,
  )


_attend.defvjp(_keep_residuals, _run_backward)


def _run(kernel, inputs, outputs, head_width, interpret):
  """Runs a kernel for each sequence and each group of heads.

  Args:
    kernel: function of a reference for each input and each output.
    inputs: arrays, [B, N, D] or [B, groups, heads, Q]. The first is the
      queries, the second the keys.
    outputs: arrays, or `jax.ShapeDtypeStruct`s, of the shapes and dtypes of the
      outputs.
    head_width: C, number of channels of a head.
    interpret: whether to run the kernel as array operations.
  """
  batch, num_queries, width = inputs[0].shape
  group = group_width(width, head_width, num_queries)
  need = count_bytes(
      num_queries,
      inputs[1].shape[1],
      width,
      head_width,
      inputs[0].dtype.itemsize,
  )

  def spec(x):
    if x.ndim == 4:
      return pl.BlockSpec((1, 1, *x.shape[2:]), lambda b, g: (b, g, 0, 0))
    return pl.BlockSpec((1, x.shape[1], group), lambda b, g: (b, 0, g))

  return pl.pallas_call(
      functools.partial(kernel, head_width=head_width),
      grid=(batch, width // group),
      in_specs=[spec(x) for x in inputs],
      out_specs=[spec(x) for x in outputs],
      out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in outputs],
      compiler_params=pltpu.CompilerParams(
          dimension_semantics=('parallel', 'parallel'),
          vmem_limit_bytes=max(need, _LEAST_VMEM),
      ),
      interpret=interpret,
      name=kernel.__name__,
  )(*inputs)
