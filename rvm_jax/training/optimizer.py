"""AdamW with warm-up, cosine decay and clipping."""

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
) -> tuple[optax.GradientTransformation, optax.Schedule]:
  """The optimiser and its learning rate.

  Args:
    num_steps: steps of the whole run.
    learning_rate: peak, reached after `warmup_steps`, then a cosine.
    warmup_steps: steps of linear warm-up from zero.
    final_learning_rate: at the end of the cosine, after `num_steps`.
    weight_decay: decoupled, times the learning rate; dense kernels only.
    core_weight_decay: of the kernels of RVM's recurrent core; None for
      `weight_decay`.
    beta1: decay of the first moment.
    beta2: decay of the second moment.
    clip_norm: gradients with a larger global norm are scaled down to it.
  """
  schedule = optax.warmup_cosine_decay_schedule(
      0.0, learning_rate, warmup_steps, num_steps, final_learning_rate
  )
  if core_weight_decay is None:
    core_weight_decay = weight_decay
  optimizer = optax.chain(
      optax.clip_by_global_norm(clip_norm),
      optax.scale_by_adam(beta1, beta2),
      optax.add_decayed_weights(weight_decay, lambda x: decay_masks(x)[0]),
      optax.add_decayed_weights(core_weight_decay, lambda x: decay_masks(x)[1]),
      optax.scale_by_learning_rate(schedule),
  )
  return optimizer, schedule


def decay_masks(params: Any) -> tuple[Any, Any]:
  """Which parameters decay: kernels of dense layers, no biases, norms, tokens.

  Returns:
    True for those outside the recurrent core, and True for those in it.
  """

  def mask(is_core):
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].key == 'kernel'
        and (path[0].key == 'rnn_core') == is_core,
        params,
    )

  return mask(False), mask(True)
