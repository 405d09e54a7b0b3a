"""An exponential moving average (EMA) of the parameters.

With `config.ema_decay` the training state has a second set of parameters, the
EMA. It starts as a copy of the initial parameters, and each step whose update
is applied changes it:

    ema = ema_decay * ema + (1 - ema_decay) * parameters after the step

The EMA is split over devices like the parameters and saved in checkpoints.
Evaluators and the functions that load a checkpoint for use take it in place of
the parameters.

`config.ema_decay` may change when a run is resumed. A checkpoint may then have
an EMA although the run keeps none, or lack one although the run keeps one. So
`as_saved` returns the state that can be read from the checkpoint, and
`as_wanted` converts it to the state of the run.
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
  """Returns the state to read from a checkpoint, with an EMA if it has one.

  Args:
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.
    saved: the tree of the checkpoint's state, as
      `checkpoint_files.read_shapes` returns it.

  Returns:
    `shapes`, with an EMA if the checkpoint has one, and without an EMA if not.
  """
  return shapes.replace(ema=shapes.params if 'ema' in saved else None)


def as_wanted(
    state: step_lib.TrainState, shapes: step_lib.TrainState
) -> step_lib.TrainState:
  """Returns a restored training state with an EMA only if the run keeps one.

  Args:
    state: training state with the structure that `as_saved` returned.
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.

  Returns:
    If the run keeps an EMA, the state with its own EMA, or with a copy of its
    parameters as the EMA if it has none; else the state without an EMA.
  """
  if (state.ema is None) == (shapes.ema is None):
    return state
  if shapes.ema is None:
    logging.warning(
        'The EMA of the parameters in the checkpoint is dropped, because'
        ' config.ema_decay is not set'
    )
    return state.replace(ema=None)
  logging.warning(
      'The EMA starts from the parameters in the checkpoint, which has no EMA'
  )
  return restart(state)


def restart(state: step_lib.TrainState) -> step_lib.TrainState:
  """Returns a training state whose EMA is a copy of its parameters."""
  return state.replace(ema=jax.tree.map(jnp.copy, state.params))
