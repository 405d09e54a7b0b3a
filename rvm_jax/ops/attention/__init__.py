"""Scaled dot-product attention, by one of several implementations."""

import jax

from rvm_jax.ops.attention import choice
from rvm_jax.ops.attention import cudnn
from rvm_jax.ops.attention import pallas_tpu
from rvm_jax.ops.attention import xla

_IMPLEMENTATIONS = {
    'xla': xla.attend,
    'cudnn': cudnn.attend,
    'pallas_tpu': pallas_tpu.attend,
}
weigh = xla.weigh
# Values that the argument `implementation` of `attend` may have.
NAMES = ('auto', *_IMPLEMENTATIONS)
# Names of the arrays that the backward pass of 'pallas_tpu' needs besides its
# inputs, for policies of rematerialisation.
RESIDUALS = (pallas_tpu.OUT, pallas_tpu.LOG_SUM)
# Policy of `jax.checkpoint` that keeps what the backward pass of 'cudnn' needs
# besides its inputs. There is no such policy for 'xla': its backward pass needs
# the scores, and would compute them again even if the result of the forward
# pass were kept.
is_cudnn_forward = cudnn.is_forward

# Functions that return why an implementation cannot run, or '' if it can.
_FIND_OBSTACLE = {
    'cudnn': choice.find_obstacle_cudnn,
    'pallas_tpu': choice.find_obstacle_tpu,
}


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    num_heads: int,
    implementation: str,
) -> jax.Array:
  """Computes softmax attention, with float32 scores and softmax.

  Args:
    query: Q queries of each sequence, [B, Q, D], the channels of the heads side
      by side.
    key: M keys of each sequence, [B, M, D].
    value: values, [B, M, D].
    num_heads: number of heads, a divisor of D.
    implementation: 'xla', which runs on every device and writes the scores to
      memory; 'cudnn' for GPUs with a 16-bit dtype or 'pallas_tpu' for TPUs,
      neither of which writes the scores; or 'auto'. With 'auto',
      `choice.choose` selects one of these for the device, and the choice is
      logged. If the queries or keys have symbolic dimensions of `jax.export`,
      'auto' means 'xla'.

  Returns:
    Weighted means of the values, [B, Q, D], in the dtype of the values.

  Raises:
    ValueError: `implementation` is none of these, or cannot run on the device
      or with the dtype, the lengths or the head width.
  """
  if implementation not in NAMES:
    raise ValueError(
        f'attention must be one of {", ".join(NAMES)}, got {implementation!r}'
    )
  if implementation == 'auto' and not xla.has_known_sizes(query, key):
    # Whether a fused kernel can run depends on sizes that are not known yet.
    implementation = 'xla'
  if implementation != 'xla':
    attention = choice.Attention(
        num_queries=query.shape[1],
        num_keys=key.shape[1],
        num_heads=num_heads,
        head_width=query.shape[2] // num_heads,
        dtype=query.dtype.name,
    )
    device = choice.current_device()
    if implementation == 'auto':
      chosen = choice.choose(attention, device)
      choice.report(attention, chosen)
      implementation = chosen.name
    elif obstacle := _FIND_OBSTACLE[implementation](attention, device):
      raise ValueError(
          f'attention={implementation!r} cannot compute the {attention}:'
          f" {obstacle}; use attention='auto' or 'xla'"
      )
  return _IMPLEMENTATIONS[implementation](query, key, value, num_heads)
