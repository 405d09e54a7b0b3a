"""Loss and gradient of a batch that is split over the devices of a mesh.

Each device gathers the parameters once and computes the gradient for its own
rows. To save memory it can do so for one part of its rows after the other. Then
the gradients of all devices are averaged, with one reduction for each
parameter, however often the model uses it.
"""

from collections.abc import Callable
import functools
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from rvm_jax.training import mesh as mesh_lib

# A function of parameters, inputs and perhaps an EMA of the parameters that
# returns loss and gradient.
ValueAndGrad = Callable[..., tuple[jax.Array, Any]]


class Loss(Protocol):
  """The part of a `protocols.Objective` that a gradient needs."""

  def cast(self, params: Any) -> Any:
    """Returns parameters in the dtypes in which `loss` uses them."""

  def loss(self, params: Any, *inputs: Any) -> jax.Array:
    """Returns the mean loss over the rows of the inputs."""


def make(
    objective: Loss,
    mesh: Mesh,
    shardings: Any,
    *,
    num_parts: int,
    dtype: jax.typing.DTypeLike,
) -> ValueAndGrad:
  """Returns the function that computes loss and gradient on all devices.

  Args:
    objective: what is trained.
    mesh: the mesh, as returned by `mesh.make_mesh`.
    shardings: tree of the parameters' shardings, see `mesh.state_shardings`.
    num_parts: number of equal parts into which a device's rows are divided.
    dtype: dtype in which the devices' gradients are added up.

  Returns:
    A function of up to three arguments: the parameters; the tuple of the inputs
    of `objective.loss`, trees of arrays whose first axis is the batch axis; and
    the EMA of the parameters, if the loss takes it. It returns the mean loss,
    float32 [], and the gradient of the loss with respect to the parameters, a
    tree of float32 arrays that are split like the parameters.
  """
  specs = jax.tree.map(lambda sharding: sharding.spec, shardings)

  def gather(params):
    return jax.tree.map(_gather, objective.cast(params), specs)

  def compute(params, inputs, ema):
    """Computes loss and gradient on one device.

    Args:
      params: the device's part of each parameter.
      inputs: the device's rows of the inputs.
      ema: the device's part of the EMA of each parameter; None if there is no
        EMA.
    """
    loss_fn: Callable[..., jax.Array] = objective.loss
    # Arrays of the EMA that the loss does not use are not gathered: the
    # compiler drops collectives whose results are not used.
    if ema is not None:
      loss_fn = functools.partial(loss_fn, ema=gather(ema))
    loss, gradient = accumulate(
        jax.value_and_grad(loss_fn), gather(params), inputs, num_parts
    )
    average = functools.partial(_average, dtype=dtype)
    return (
        jax.lax.pmean(loss, mesh_lib.BATCH_AXES),
        jax.tree.map(average, gradient, specs),
    )

  def value_and_grad(params, inputs, ema=None):
    return jax.shard_map(
        compute,
        mesh=mesh,
        in_specs=(specs, mesh_lib.ROWS, None if ema is None else specs),
        out_specs=(mesh_lib.WHOLE, specs),
        check_vma=False,
    )(params, inputs, ema)

  return value_and_grad


def accumulate(
    value_and_grad: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    inputs: tuple[Any, ...],
    num_parts: int,
) -> tuple[jax.Array, Any]:
  """Returns loss and gradient as means over equal parts of the inputs.

  Args:
    value_and_grad: function that takes parameters and inputs and returns the
      mean loss over the inputs' rows, and its gradient.
    params: parameters.
    inputs: tuple of trees of arrays whose first axis is the batch axis.
    num_parts: number of parts, which divides the number of rows. The gradients
      of several parts are added up in float32.
  """
  if num_parts == 1:
    return value_and_grad(params, *inputs)

  def add(total, part):
    return jax.tree.map(jnp.add, total, value_and_grad(params, *part)), None

  parts = jax.tree.map(
      lambda x: x.reshape(num_parts, len(x) // num_parts, *x.shape[1:]), inputs
  )
  zero = jax.tree.map(
      lambda x: jnp.zeros(x.shape, jnp.float32), (jnp.zeros(()), params)
  )
  total, _ = jax.lax.scan(add, zero, parts)
  return jax.tree.map(lambda x: x / num_parts, total)


def _gather(part: jax.Array, spec: PartitionSpec) -> jax.Array:
  """Returns a whole parameter, from the parts that the devices have of it."""
  if not spec:
    return part
  # The last entry of a spec is that of the axis that is split.
  return jax.lax.all_gather(part, 'fsdp', axis=len(spec) - 1, tiled=True)


def _average(
    gradient: jax.Array, spec: PartitionSpec, dtype: jax.typing.DTypeLike
) -> jax.Array:
  """Returns this device's part of the mean of all devices' gradients."""
  gradient = gradient.astype(dtype)
  count = jax.lax.axis_size(mesh_lib.BATCH_AXES)
  # The gradient of a parameter that is split is added up in two steps: over
  # 'fsdp', where each device keeps only its own part, and then over 'data'.
  if spec:
    gradient = jax.lax.psum_scatter(
        gradient, 'fsdp', scatter_dimension=len(spec) - 1, tiled=True
    )
    total = jax.lax.psum(gradient, 'data')
  else:
    total = jax.lax.psum(gradient, mesh_lib.BATCH_AXES)
  return total.astype(jnp.float32) / count
