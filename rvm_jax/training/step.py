"""One training step: state and batch in, state and metrics out."""

from collections.abc import Callable
import dataclasses
import functools
from typing import Any, Protocol

import flax
import jax
import jax.numpy as jnp
import optax

from rvm_jax.training import boxes
from rvm_jax.training import gradients
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols

# Scalars by name.
Metrics = dict[str, jax.Array]


class TrainState(flax.struct.PyTreeNode):
  """The training state: everything that a step takes besides the batch.

  Attributes:
    step: int32 [], number of steps done.
    params: float32 parameters of the model.
    opt_state: state of the optimizer.
    rng: random key of the run, which never changes. A step uses
      `fold_in(rng, step)`.
    ema: float32 exponential moving average of the parameters, see
      `training.averaging`; None if the run keeps none.
  """

  step: jax.Array
  params: Any
  opt_state: Any
  rng: jax.Array
  ema: Any = None

  @property
  def eval_params(self) -> Any:
    """The parameters to evaluate: the EMA, or `params` if there is none."""
    return self.params if self.ema is None else self.ema

  def parts(self) -> dict[str, Any]:
    """Returns the attributes by name, without those that are None."""
    fields = dataclasses.fields(self)
    parts = {field.name: getattr(self, field.name) for field in fields}
    return {name: part for name, part in parts.items() if part is not None}


class Guard(Protocol):
  """Decides within a compiled step whether its update is applied.

  `spikes.Guard` is one.
  """

  def watch(self, state: TrainState) -> TrainState:
    """Adds what the guard keeps to an initial state, and returns the state."""

  def judge(
      self, before: Any, after: Any, metrics: Metrics
  ) -> tuple[TrainState, Metrics]:
    """Returns the state to go on with after a step, and more metrics of it."""


def make(
    objective: protocols.Objective,
    optimizer: optax.GradientTransformation,
    mesh: jax.sharding.Mesh,
    *,
    num_microbatches: int,
    gradient_dtype: str = 'float32',
    ema_decay: float | None = None,
    guard: Guard | None = None,
) -> tuple[
    Callable[[int], TrainState],
    Callable[[TrainState, protocols.Batch], tuple[TrainState, Metrics]],
]:
  """Returns `init_state` and `train_step`, jitted for an objective and a mesh.

  Args:
    objective: objective to train.
    optimizer: optax transformation applied to the objective's parameters.
    mesh: the mesh, as returned by `mesh.make_mesh`. Calls of the step must be
      inside `jax.set_mesh(mesh)`.
    num_microbatches: number of equal parts of a batch. Their gradients are
      computed one after the other, to save memory, and averaged. Masks are
      sampled for the whole batch, so they do not depend on this number.
    gradient_dtype: dtype in which the gradients of all devices are added up.
    ema_decay: decay of the EMA of the parameters in a step, in [0, 1), see
      `training.averaging`; None to keep no EMA.
    guard: guard that decides whether an update is applied; None to apply all.

  Returns:
    init: function that takes a seed and returns a state. The state is
      created with its shardings, so that no device ever holds a whole copy of
      an array that is split over 'fsdp'. `jax.eval_shape(init, seed)` gives the
      state's shapes, dtypes and shardings.
    step: function that takes a state and a batch and returns the next state,
      with unchanged shardings, and metrics. The buffers of the state it takes
      are donated.
  """
  # The inner jit caches the trace, which both `eval_shape` and the outer jit
  # with shardings need.
  init = jax.jit(
      functools.partial(
          init_state, objective, optimizer, ema_decay=ema_decay, guard=guard
      )
  )
  shardings = mesh_lib.state_shardings(jax.eval_shape(init, 0), mesh)
  step = functools.partial(
      train_step,
      objective=objective,
      optimizer=optimizer,
      value_and_grad=gradients.make(
          objective,
          mesh,
          shardings.params,
          num_parts=num_microbatches,
          dtype=gradient_dtype,
      ),
      ema_decay=ema_decay,
      guard=guard,
  )
  return jax.jit(init, out_shardings=shardings), jax.jit(
      step,
      in_shardings=(shardings, mesh_lib.batch_sharding(mesh)),
      out_shardings=(shardings, None),
      donate_argnums=0,
  )


def init_state(
    objective: protocols.Objective,
    optimizer: optax.GradientTransformation,
    seed: int | jax.Array,
    *,
    ema_decay: float | None = None,
    guard: Guard | None = None,
) -> TrainState:
  """Returns an initial training state.

  Args:
    objective: objective to train.
    optimizer: optax transformation applied to the objective's parameters.
    seed: seed of the parameters and of the random key of the run.
    ema_decay: decay of the EMA of the parameters in a step, in [0, 1); None to
      keep no EMA.
    guard: guard that decides whether an update is applied; None to apply all.
  """
  rng, init_rng = jax.random.split(jax.random.key(seed))
  params = objective.init(init_rng)
  state = TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=optimizer.init(params),
      rng=rng,
      ema=None if ema_decay is None else jax.tree.map(jnp.copy, params),
  )
  return state if guard is None else guard.watch(state)


def train_step(
    state: TrainState,
    batch: protocols.Batch,
    *,
    objective: protocols.Objective,
    optimizer: optax.GradientTransformation,
    value_and_grad: gradients.ValueAndGrad,
    ema_decay: float | None = None,
    guard: Guard | None = None,
) -> tuple[TrainState, Metrics]:
  """Does one training step.

  Args:
    state: training state before the step.
    batch: arrays as described by `objective.batch`, or boxes that are not
      resized yet, see `boxes`.
    objective: objective to train.
    optimizer: optax transformation applied to the objective's parameters.
    value_and_grad: function that computes the loss and its gradient from the
      parameters, the objective's inputs and, if the objective uses it, the EMA,
      see `gradients.make`.
    ema_decay: decay of the EMA of the parameters in a step, in [0, 1); None to
      keep no EMA.
    guard: guard that decides whether the update is applied; None to apply it.

  Returns:
    The training state after the step, and the metrics: float32 [] each, 'loss',
    and the global norms 'gradient_norm' (before clipping) and 'update_norm' (of
    the change of the parameters); and those of the guard.
  """
  batch = boxes.resize(batch, objective.batch)
  inputs = objective.sample(jax.random.fold_in(state.rng, state.step), batch)
  # The attribute is optional, see `protocols.Objective`.
  ema = (state.ema,) if getattr(objective, 'uses_ema', False) else ()
  loss, gradient = value_and_grad(state.params, inputs, *ema)
  updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
  params = optax.apply_updates(state.params, updates)
  # The norm is that of the change of the parameters. For the norm of `updates`
  # a TPU would need one pass over parameters and moments, and a second one for
  # the new parameters.
  change = jax.tree.map(jnp.subtract, params, state.params)
  metrics = {
      'loss': loss,
      'gradient_norm': optax.tree.norm(gradient),
      'update_norm': optax.tree.norm(change),
  }
  after = state.replace(
      step=state.step + 1,
      params=params,
      opt_state=opt_state,
      ema=None
      if ema_decay is None
      else optax.incremental_update(params, state.ema, 1 - ema_decay),
  )
  if guard is None:
    return after, metrics
  after, more = guard.judge(state, after, metrics)
  return after, metrics | more
