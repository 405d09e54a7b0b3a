"""One training step: state and batch in, state and metrics out."""

from collections.abc import Callable, Mapping
import functools
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from rvm_jax.models import rvm
from rvm_jax.ops import losses
from rvm_jax.ops import masks
from rvm_jax.training import mesh as mesh_lib

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]


@flax.struct.dataclass
class TrainState:
  """What a step changes, and the key that it draws from.

  Attributes:
    step: int32, steps done.
    params: float32 parameters of the model.
    opt_state: of the optimiser.
    rng: the run's key; a step draws from `fold_in(rng, step)`.
  """

  step: jax.Array
  params: Any
  opt_state: Any
  rng: jax.Array


def make(
    model: rvm.RVM,
    optimizer: optax.GradientTransformation,
    batch: Mapping[str, jax.ShapeDtypeStruct],
    mesh: jax.sharding.Mesh,
    *,
    mask_ratio: float,
    num_microbatches: int,
) -> tuple[
    Callable[[int], TrainState],
    Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
]:
  """`init_state` and `train_step` for this model and mesh, jitted.

  Args:
    model: what is trained.
    optimizer: of its parameters.
    batch: shapes of what a step takes (arrays will do).
    mesh: of `mesh.make_mesh`; set it (`jax.set_mesh`) around the steps.
    mask_ratio: hidden patches of a target, in 0..1.
    num_microbatches: see `train_step`.

  Returns:
    init: seed -> state. The state is born sharded: no device ever holds the
      whole. `jax.eval_shape(init, seed)` has its shapes and shardings.
    step: state and batch -> state and metrics. The state is donated and keeps
      its shardings.
  """
  # Jitted also without shardings, so that it is traced once for both.
  init = jax.jit(functools.partial(init_state, model, optimizer, batch))
  shardings = mesh_lib.state_shardings(jax.eval_shape(init, 0), mesh)
  step = functools.partial(
      train_step,
      model=model,
      optimizer=optimizer,
      mask_ratio=mask_ratio,
      num_microbatches=num_microbatches,
  )
  return jax.jit(init, out_shardings=shardings), jax.jit(
      step,
      in_shardings=(shardings, mesh_lib.batch_sharding(mesh)),
      out_shardings=(shardings, None),
      donate_argnums=0,
  )


def init_state(
    model: rvm.RVM,
    optimizer: optax.GradientTransformation,
    batch: Mapping[str, jax.ShapeDtypeStruct],
    seed: int | jax.Array,
) -> TrainState:
  """A fresh state, drawn from `seed`."""
  rng, init_rng = jax.random.split(jax.random.key(seed))
  frames = lambda x: jnp.zeros((1, *x.shape[1:]), jnp.float32)
  gaps = jnp.zeros((1, batch['gaps'].shape[1]), jnp.int32)
  params = model.init(
      init_rng,
      frames(batch['source']),
      frames(batch['target']),
      gaps,
      gaps[..., None],
  )['params']
  return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state=optimizer.init(params),
      rng=rng,
  )


def loss_fn(
    params: Any, batch: Batch, visible: jax.Array, *, model: rvm.RVM
) -> jax.Array:
  """Mean loss of a batch with uint8 frames; `visible` is int [B, K, V]."""
  to_float = lambda x: x.astype(jnp.float32) / 255
  target = to_float(batch['target'])
  pixels = model.apply(
      {'params': params},
      to_float(batch['source']),
      target,
      batch['gaps'],
      visible,
  )
  return losses.pixel_mse(pixels, target).mean()


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: rvm.RVM,
    optimizer: optax.GradientTransformation,
    mask_ratio: float,
    num_microbatches: int,
) -> tuple[TrainState, Metrics]:
  """One step on a batch: 'source', 'target' (uint8) and 'gaps'.

  The gradient is the mean over `num_microbatches` equal parts of the batch, run
  one after the other to save memory; the masks do not depend on that number.
  """
  batch_size, num_targets, height, width, _ = batch['target'].shape
  num_patches = (height // model.patch) * (width // model.patch)
  visible = masks.sample_visible(
      jax.random.fold_in(state.rng, state.step),
      (batch_size, num_targets),
      num_patches,
      masks.num_visible(num_patches, mask_ratio),
  )
  with nn.logical_axis_rules(mesh_lib.LOGICAL_RULES):
    loss, gradient = accumulate(
        jax.value_and_grad(functools.partial(loss_fn, model=model)),
        state.params,
        (batch, visible),
        num_microbatches,
    )
  updates, opt_state = optimizer.update(
      gradient, state.opt_state, state.params
  )
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
