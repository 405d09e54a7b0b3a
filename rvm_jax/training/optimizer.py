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
    beta1: decay of the first moment.
    beta2: decay of the second moment.
    clip_norm: gradients with a larger global norm are scaled down to it.
  """
  schedule = optax.warmup_cosine_decay_schedule(
      0.0, learning_rate, warmup_steps, num_steps, final_learning_rate
  )
  optimizer = optax.chain(
      optax.clip_by_global_norm(clip_norm),
      optax.adamw(
          schedule,
          b1=beta1,
          b2=beta2,
          weight_decay=weight_decay,
          mask=decay_mask,
      ),
  )
  return optimizer, schedule


def decay_mask(params: Any) -> Any:
  """True for the kernels of dense layers: no biases, norms, learned tokens."""
  return jax.tree_util.tree_map_with_path(
      lambda path, _: path[-1].key == 'kernel', params
  )
