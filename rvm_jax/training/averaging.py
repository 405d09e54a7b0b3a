"""An exponential moving average (EMA) of the parameters.

With `config.ema_decay` the training state has a second set of parameters, ema.
A step leaves the share `decay` of it as it is and replaces the rest by the
parameters after the step; it starts as a copy of the first parameters. It is
split over devices like the parameters, saved in checkpoints, and used in place
of the parameters by evaluators and by what loads a checkpoint.

Since `config.ema_decay` may change when a run is resumed, a checkpoint may have
an EMA that the run does not want, or lack the one that it wants: `as_saved` and
`as_wanted` mediate.
"""

from collections.abc import Mapping
from typing import Any

from absl import logging
import jax
import jax.numpy as jnp

from rvm_jax.training import step as step_lib


def as_saved(
    shapes: step_lib.TrainState, saved: Mapping[str, Any]
) -> step_lib.TrainState:
  """Returns what is to be read from a checkpoint.

  Args:
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.
    saved: the arrays of the checkpoint's state by name.

  Returns:
    `shapes` with an EMA if the checkpoint has one, and without if not.
  """
  return shapes.replace(ema=shapes.params if 'ema' in saved else None)


def as_wanted(
    state: step_lib.TrainState, shapes: step_lib.TrainState
) -> step_lib.TrainState:
  """Returns a restored training state with an EMA if the run wants one.

  Args:
    state: training state, as restored with what `as_saved` returns.
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.

  Returns:
    The state with its own EMA, or with a copy of its parameters if it has none;
    or without an EMA if the run wants none.
  """
  if (state.ema is None) == (shapes.ema is None):
    return state
  if shapes.ema is None:
    logging.warning(
        'The EMA of the parameters in the checkpoint is dropped, because'
        ' config.ema_decay is not set'
    )
    return state.replace(ema=None)
  logging.warning('The EMA starts from the parameters in the checkpoint')
  return restart(state)


def restart(state: step_lib.TrainState) -> step_lib.TrainState:
  """Returns a training state whose EMA is a copy of its parameters."""
  return state.replace(ema=jax.tree.map(jnp.copy, state.params))
