"""AdamW with linear warm-up, cosine decay and gradient clipping."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from rvm_jax.training import moments


def make_optimizer(
    *,
    num_steps: int,
    learning_rate: float,
    warmup_steps: int,
    final_learning_rate: float,
    weight_decay: float,
    core_weight_decay: float | None,
    beta1: float,
    beta2: float,
    clip_norm: float,
    moments_dtype: str = 'float32',
    is_core: Callable[[str], bool] | None = None,
) -> tuple[optax.GradientTransformation, optax.Schedule]:
  """Returns the optimizer and its learning rate schedule.

  Args:
    num_steps: number of steps of the whole run.
    learning_rate: peak of the learning rate, reached after `warmup_steps`. From
      there it falls along half a period of a cosine.
    warmup_steps: number of steps in which the learning rate rises linearly from
      zero.
    final_learning_rate: learning rate at the end of the cosine, after
      `num_steps`.
    weight_decay: factor of the decoupled weight decay: in each step a kernel
      loses the share `learning rate * weight_decay` of its value. Only
      parameters named 'kernel' decay, not biases, norms or learned tokens.
    core_weight_decay: weight decay of the kernels for which `is_core` holds;
      None for the value of `weight_decay`.
    beta1: Adam's decay rate of the first moment of the gradient.
    beta2: Adam's decay rate of the second moment of the gradient.
    clip_norm: largest global norm of the gradient; a gradient with a larger one
      is scaled down to this norm.
    moments_dtype: dtype in which Adam's two moments are stored, see
      `moments.adam`.
    is_core: function that takes the path of a parameter, joined with '/', and
      returns whether its weight decay is `core_weight_decay`. With None every
      kernel has `weight_decay`.

  Returns:
    The optimizer, and the learning rate as a function of the number of steps
    done.
  """
  schedule = optax.warmup_cosine_decay_schedule(
      0.0, learning_rate, warmup_steps, num_steps, final_learning_rate
  )
  if core_weight_decay is None:
    core_weight_decay = weight_decay

  def is_decayed(params: Any, in_core: bool) -> Any:
    """Returns a tree of bools, True for the kernels that were chosen.

    Args:
      params: tree of parameters.
      in_core: True to choose the kernels in the core, False to choose the
        others.
    """

    def decide(path, _):
      path = jax.tree_util.keystr(path, simple=True, separator='/')
      is_in_core = is_core is not None and is_core(path)
      return path.split('/')[-1] == 'kernel' and is_in_core == in_core

    return jax.tree_util.tree_map_with_path(decide, params)

  optimizer = optax.chain(
      optax.clip_by_global_norm(clip_norm),
      moments.adam(beta1, beta2, moments_dtype),
      optax.add_decayed_weights(
          weight_decay, lambda params: is_decayed(params, in_core=False)
      ),
      optax.add_decayed_weights(
          core_weight_decay, lambda params: is_decayed(params, in_core=True)
      ),
      optax.scale_by_learning_rate(schedule),
  )
  return optimizer, schedule
