"""The losses and gradient norms of a run's last steps, in its state.

A run has a window unless its `config.spikes.policy` is 'none'. The policy and
the length of the window may change when a run is resumed, so that a checkpoint
may have another window than the run, or none. So `as_saved` returns the state
that can be read from the checkpoint, and `as_wanted` converts it to the state
of the run.
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

  Runs without a window have a plain `step.TrainState`.

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
  """Returns a training state with a window, which replaces its own if any.

  Args:
    state: training state, or its shapes.
    window: the window, or its shapes.
  """
  return WatchedState(**_fields(state), window=window)


def as_saved(
    shapes: step_lib.TrainState, saved: Mapping[str, Any]
) -> step_lib.TrainState:
  """Returns the state to read from a checkpoint, with its window if any.

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
  """Returns a restored training state with a window as the run has it.

  Args:
    state: training state with the structure that `as_saved` returned.
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.

  Returns:
    If the run has a window, the state with its own window if that is of the
    same length, else with an empty window. If the run has none, the state
    without a window.
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
