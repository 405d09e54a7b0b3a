"""The losses and gradient norms of a run's last steps, in its state.

Only runs with `config.spikes` have a window. Since that may change when a run
is resumed, a checkpoint may have a window that the run does not want, or lack
the one that it wants: `as_saved` and `as_wanted` mediate.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

from absl import logging
import flax
import jax
import jax.numpy as jnp

from rvm_jax.training import step as step_lib

# The metrics of a step that are kept.
WATCHED = ('loss', 'gradient_norm')


class Window(flax.struct.PyTreeNode):
  """The values of the last W steps.

  Attributes:
    values: float32 [W] for each name in `WATCHED`. The step after `count` steps
      overwrites entry `count % W`.
    count: int32 [], number of steps since the window was empty.
    skipped: int32 [], number of updates that were not applied since then.
  """

  values: Mapping[str, jax.Array]
  count: jax.Array
  skipped: jax.Array


class WatchedState(step_lib.TrainState, kw_only=True):
  """A training state with a window.

  It is a class of its own, because an attribute that is None would be written
  to the checkpoints of runs that have no window.

  Attributes:
    window: the window.
  """

  window: Window


def empty(length: int) -> Window:
  """Returns a window of `length` steps that has seen none yet."""
  return Window(
      values={key: jnp.zeros(length) for key in WATCHED},
      count=jnp.zeros((), jnp.int32),
      skipped=jnp.zeros((), jnp.int32),
  )


def with_window(state: step_lib.TrainState, window: Window) -> WatchedState:
  """Returns a training state with a window, instead of its own if it has one.

  Args:
    state: training state, or its shapes.
    window: the window, or its shapes.
  """
  return WatchedState(**_fields(state), window=window)


def as_saved(
    shapes: step_lib.TrainState, saved: Mapping[str, Any]
) -> step_lib.TrainState:
  """Returns what is to be read from a checkpoint.

  Args:
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.
    saved: the arrays of the checkpoint's state, nested dicts of objects with
      the attribute `shape`, as Orbax's metadata has them.

  Returns:
    `shapes` with the window that the checkpoint has, or without a window if it
    has none.
  """
  if 'window' not in saved:
    return step_lib.TrainState(**_fields(shapes))
  length = saved['window']['values'][WATCHED[0]].shape[0]
  window = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(
          x.shape, x.dtype, sharding=shapes.step.sharding
      ),
      jax.eval_shape(lambda: empty(length)),
  )
  return with_window(shapes, window)


def as_wanted(
    state: step_lib.TrainState, shapes: step_lib.TrainState
) -> step_lib.TrainState:
  """Returns a restored training state with the window that the run wants.

  Args:
    state: training state, as restored with what `as_saved` returns.
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.

  Returns:
    The state with its own window, if it has as many steps as the run wants;
    else with an empty one; or without one if the run wants none.
  """
  if not isinstance(shapes, WatchedState):
    return step_lib.TrainState(**_fields(state))
  length = len(shapes.window.values[WATCHED[0]])
  if isinstance(state, WatchedState):
    saved = len(state.window.values[WATCHED[0]])
    if saved == length:
      return state
  shardings = jax.tree.map(lambda x: x.sharding, shapes.window)
  logging.info('The window of config.spikes starts empty')
  fresh = jax.jit(lambda: empty(length), out_shardings=shardings)
  return with_window(state, fresh())


def _fields(state: step_lib.TrainState) -> dict[str, Any]:
  """Returns the attributes of a training state without its window."""
  return {
      field.name: getattr(state, field.name)
      for field in dataclasses.fields(step_lib.TrainState)
  }
