"""AdamW with warm-up, cosine decay and clipping."""

from collections.abc import Callable
from typing import Any

import jax
import optax


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
    is_core: Callable[[str], bool] | None = None,
) -> tuple[optax.GradientTransformation, optax.Schedule]:
  """Returns the optimizer and its learning rate.

  Args:
    num_steps: number of steps of the whole run.
    learning_rate: peak of the learning rate, reached after `warmup_steps`; a
      half cosine follows.
    warmup_steps: number of steps in which the learning rate rises linearly from
      zero.
    final_learning_rate: learning rate at the end of the cosine, after
      `num_steps`.
    weight_decay: factor by which kernels shrink in a step, to be multiplied
      with the learning rate (decoupled weight decay). Biases, norms and tokens
      do not decay.
    core_weight_decay: weight decay of the kernels for which `is_core` holds;
      None for `weight_decay`.
    beta1: decay of the gradient's first moment in a step.
    beta2: decay of the gradient's second moment in a step.
    clip_norm: gradients with a larger global norm are scaled down to it.
    is_core: tells by a parameter's path, joined with '/', whether it decays by
      `core_weight_decay`; None where no parameter does.
  """
  schedule = optax.warmup_cosine_decay_schedule(
      0.0, learning_rate, warmup_steps, num_steps, final_learning_rate
  )
  if core_weight_decay is None:
    core_weight_decay = weight_decay

  def is_decayed(params: Any, in_core: bool) -> Any:
    """Returns True for the kernels in the core, or for those outside of it."""

    def decide(path, _):
      path = jax.tree_util.keystr(path, simple=True, separator='/')
      is_in_core = is_core is not None and is_core(path)
      return path.split('/')[-1] == 'kernel' and is_in_core == in_core

    return jax.tree_util.tree_map_with_path(decide, params)

  optimizer = optax.chain(
      optax.clip_by_global_norm(clip_norm),
      optax.scale_by_adam(beta1, beta2),
      optax.add_decayed_weights(
          weight_decay, lambda params: is_decayed(params, in_core=False)
      ),
      optax.add_decayed_weights(
          core_weight_decay, lambda params: is_decayed(params, in_core=True)
      ),
      optax.scale_by_learning_rate(schedule),
  )
  return optimizer, schedule
