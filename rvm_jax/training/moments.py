"""Adam's moments, in a dtype of their own.

Moments in bfloat16 take half the memory, and half the time to read and write.
A run may resume with another dtype than it was started with: `as_saved` and
`as_wanted` convert the moments of its checkpoint.
"""

from collections.abc import Mapping
import functools
from typing import Any

from absl import logging
import jax
import jax.numpy as jnp
import optax

from rvm_jax.storage import digests
from rvm_jax.training import step as step_lib


def adam(
    beta1: float, beta2: float, dtype: jax.typing.DTypeLike
) -> optax.GradientTransformation:
  """Returns `optax.scale_by_adam` with moments that are stored in a dtype.

  The moments are computed in float32 and rounded when they are stored. The
  update is computed from them before they are rounded.

  Args:
    beta1: decay rate of the first moment of the gradient.
    beta2: decay rate of the second moment of the gradient.
    dtype: dtype of both moments. With bfloat16 both decay rates must be at most
      `config.MAX_BFLOAT16_DECAY`, or moments may never fall.
  """
  inner = optax.scale_by_adam(beta1, beta2)

  def init(params):
    return _cast(inner.init(params), dtype)

  def update(gradient, state, params=None):
    state = _cast(state, jnp.float32)
    updates, state = inner.update(gradient, state, params)
    return updates, _cast(state, dtype)

  return optax.GradientTransformation(init, update)


def as_saved(
    shapes: step_lib.TrainState, saved: Mapping[str, Any]
) -> step_lib.TrainState:
  """Returns the state to read from a checkpoint, with moments in its dtypes.

  Args:
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.
    saved: the arrays of the checkpoint's state, nested dicts and lists of
      objects with the attribute `dtype`, as Orbax's metadata has them.

  Returns:
    `shapes`, except that floating-point arrays of the optimizer's state have
    the dtypes that they have in the checkpoint.
  """
  dtypes = {key: leaf.dtype for key, leaf in digests.flatten(saved).items()}

  def choose(path, leaf):
    path = jax.tree_util.keystr(path, simple=True, separator='/')
    dtype = dtypes.get(f'opt_state/{path}', leaf.dtype)
    # Only floats are converted. `resuming` reports any other difference.
    if not all(jnp.issubdtype(x, jnp.floating) for x in (dtype, leaf.dtype)):
      return leaf
    return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=leaf.sharding)

  return shapes.replace(
      opt_state=jax.tree.map_with_path(choose, shapes.opt_state)
  )


def as_wanted(
    state: step_lib.TrainState, shapes: step_lib.TrainState
) -> step_lib.TrainState:
  """Returns a restored training state with moments in the run's dtype.

  Args:
    state: training state with the dtypes that `as_saved` returned.
    shapes: the training state of the run as `jax.ShapeDtypeStruct`s with
      shardings.
  """
  found, wanted = (
      jax.tree.map(lambda x: jnp.dtype(x.dtype), tree.opt_state)
      for tree in (state, shapes)
  )
  if found == wanted:
    return state
  changes = {
      f'{old} to {new}'
      for old, new in zip(*map(jax.tree.leaves, (found, wanted)))
      if old != new
  }
  logging.warning(
      "The optimizer's moments in the checkpoint are converted from %s",
      ' and '.join(sorted(changes)),
  )
  convert = jax.jit(
      functools.partial(jax.tree.map, lambda dtype, x: x.astype(dtype), wanted),
      out_shardings=jax.tree.map(lambda x: x.sharding, shapes.opt_state),
      donate_argnums=0,
  )
  return state.replace(opt_state=convert(state.opt_state))


def _cast(
    state: optax.ScaleByAdamState, dtype: jax.typing.DTypeLike
) -> optax.ScaleByAdamState:
  """Returns the state with both moments in a dtype."""
  mu, nu = optax.tree.cast((state.mu, state.nu), dtype)
  return state._replace(mu=mu, nu=nu)
