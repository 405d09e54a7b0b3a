"""One training step: state and batch in, state and metrics out."""

from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple, Protocol

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from rvm_jax.training import mesh as mesh_lib
from rvm_jax.weights import trees

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]
Axes = tuple[str | None, ...]


@flax.struct.dataclass
class TrainState:
  """What a step changes, and the random key it uses.

  Attributes:
    step: int32 [], number of steps done.
    params: float32 parameters of the model.
    opt_state: state of the optimizer.
    rng: random key of the run; step number n uses `fold_in(rng, n)`.
    axes: pairs of a parameter's path and the names of its logical axes, as
      `Objective.name_axes` returns them. Static, and in no checkpoint.
  """

  step: jax.Array
  params: Any
  opt_state: Any
  rng: jax.Array
  axes: tuple[tuple[str, Axes], ...] = flax.struct.field(
      pytree_node=False, default=()
  )


class Objective(Protocol):
  """What is trained: the part of an objective that a step needs.

  Attributes:
    batch: shapes and dtypes of the arrays a step takes from a batch, by name;
      the first axis of each is the batch's.
  """

  batch: Mapping[str, jax.ShapeDtypeStruct]

  def init(self, rng: jax.Array) -> Any:
    """Returns fresh parameters."""

  def sample(self, rng: jax.Array, batch: Batch) -> tuple[Any, ...]:
    """Returns the inputs of `loss`: the batch, and what is random about it.

    The first axis of every array is the batch's.
    """

  def loss(self, params: Any, *inputs: Any) -> jax.Array:
    """Returns the mean loss, float32 [], over the rows of `inputs`."""

  def name_axes(self, path: str) -> Axes:
    """Returns the logical axes of a parameter: see `mesh.LOGICAL_RULES`.

    Args:
      path: the parameter's path in the tree, joined with '/'.

    Returns:
      A name or None for each axis, or () for a parameter that stays whole on
      every device.
    """

  def is_core(self, path: str) -> bool:
    """Returns whether a parameter decays by the config's `core_weight_decay`.

    Args:
      path: the parameter's path in the tree, joined with '/'.
    """


class Reconstructed(NamedTuple):
  """Frames that a model has filled in from a part of their patches.

  Attributes:
    target: uint8 [B, K, H, W, 3], the frames as they are.
    visible: int32 [B, K, V], raster indices of the patches the model was shown.
    pixels: float32 [B, K, H, W, 3] in [0, 1], the model's prediction.
  """

  target: jax.Array
  visible: jax.Array
  pixels: jax.Array


class VideoObjective(Objective, Protocol):
  """An objective that trains an encoder of video: what evaluators also need.

  Both functions can be traced by `jit`, with the objective as a static
  argument: objectives are hashable, by their identity.

  Attributes:
    patch: P, side of the encoder's patches in pixels.
  """

  patch: int

  def encode(self, params: Any, frames: jax.Array) -> jax.Array:
    """Returns one feature for each patch of each frame.

    Args:
      params: parameters, as `init` returns them.
      frames: uint8 [B, T, H, W, 3], whole videos, from their first frames on.

    Returns:
      float32 [B, T, H / P, W / P, D].
    """

  def reconstruct(
      self, params: Any, batch: Batch, rng: jax.Array
  ) -> Reconstructed | None:
    """Returns frames of a batch that the model has filled in.

    Args:
      params: parameters, as `init` returns them.
      batch: arrays as described by `batch`, with any number of rows.
      rng: random key that decides which patches the model is shown.

    Returns:
      The reconstruction; None from an objective that does not predict pixels.
    """


def make(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    mesh: jax.sharding.Mesh,
    *,
    num_microbatches: int,
) -> tuple[
    Callable[[int], TrainState],
    Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
]:
  """`init_state` and `train_step` for this objective and mesh, jitted.

  Args:
    objective: what is trained.
    optimizer: of its parameters.
    mesh: of `mesh.make_mesh`; set it (`jax.set_mesh`) around the steps.
    num_microbatches: see `train_step`.

  Returns:
    init: seed -> state. The state is born sharded: no device ever holds the
      whole. `jax.eval_shape(init, seed)` has its shapes and shardings.
    step: state and batch -> state and metrics. The state is donated and keeps
      its shardings.
  """
  # Jitted also without shardings, so that it is traced once for both.
  init = jax.jit(functools.partial(init_state, objective, optimizer))
  shardings = mesh_lib.state_shardings(jax.eval_shape(init, 0), mesh)
  step = functools.partial(
      train_step,
      objective=objective,
      optimizer=optimizer,
      num_microbatches=num_microbatches,
  )
  return jax.jit(init, out_shardings=shardings), jax.jit(
      step,
      in_shardings=(shardings, mesh_lib.batch_sharding(mesh)),
      out_shardings=(shardings, None),
      donate_argnums=0,
  )


def init_state(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    seed: int | jax.Array,
) -> TrainState:
  """A fresh state, drawn from `seed`."""
  rng, init_rng = jax.random.split(jax.random.key(seed))
  params = objective.init(init_rng)
  return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=optimizer.init(params),
      rng=rng,
      axes=tuple(
          (path, objective.name_axes(path)) for path in trees.flatten(params)
      ),
  )


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    num_microbatches: int,
) -> tuple[TrainState, Metrics]:
  """One step on a batch.

  The gradient is the mean over `num_microbatches` equal parts of the batch, run
  one after the other to save memory; what is drawn does not depend on that
  number.
  """
  inputs = objective.sample(jax.random.fold_in(state.rng, state.step), batch)
  with nn.logical_axis_rules(mesh_lib.LOGICAL_RULES):
    loss, gradient = accumulate(
        jax.value_and_grad(objective.loss),
        state.params,
        inputs,
        num_microbatches,
    )
  updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
  metrics = {
      'loss': loss,
      'gradient_norm': optax.tree.norm(gradient),
      'update_norm': optax.tree.norm(updates),
  }
  state = state.replace(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      opt_state=opt_state,
  )
  return state, metrics


def accumulate(
    value_and_grad: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    inputs: Any,
    num_parts: int,
) -> tuple[jax.Array, Any]:
  """Mean of `value_and_grad(params, *part)` over equal parts of `inputs`."""
  if num_parts == 1:
    return value_and_grad(params, *inputs)

  def split(x):
    # Every num_parts-th row: a part lies on all devices, as the batch does.
    x = x.reshape(len(x) // num_parts, num_parts, *x.shape[1:])
    return x.swapaxes(0, 1)

  def add(total, part):
    return jax.tree.map(jnp.add, total, value_and_grad(params, *part)), None

  zero = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), params))
  total, _ = jax.lax.scan(add, zero, jax.tree.map(split, inputs))
  return jax.tree.map(lambda x: x / num_parts, total)
