"""What JAX knows of a step's gradient before it is compiled.

Nothing is compiled or computed: functions are traced with shapes.
"""

from collections.abc import Iterator
import math
from typing import Any, NamedTuple

import jax
from jax.extend import core
import jax.numpy as jnp

from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import protocols
from rvm_jax.training.plan import chips


class Traced(NamedTuple):
  """What the gradient of an objective needs on one device.

  Attributes:
    fixed_bytes: bytes that the forward pass keeps for the backward pass
      whatever the number of clips, such as stacked parameters.
    clip_bytes: bytes that it keeps for each clip.
    clip_flops: FLOPs of the matrix products of the gradient for a clip, with
      those that rematerialisation repeats. Products inside of Pallas and cuDNN
      kernels are left out.
  """

  fixed_bytes: int
  clip_bytes: int
  clip_flops: int


def trace(objective: protocols.Objective, chip: chips.Chip) -> Traced:
  """Traces the gradient of an objective for a chip.

  Args:
    objective: objective to train.
    chip: the chip, on which the implementation of attention can depend.
  """
  # The difference between two clips and one is what each clip needs. The rest
  # does not grow with their number.
  one, two = (_trace(objective, chip, count) for count in (1, 2))
  clip_bytes = two[0] - one[0]
  return Traced(one[0] - clip_bytes, clip_bytes, two[1] - one[1])


def _trace(objective, chip, num_clips) -> tuple[int, int]:
  """Returns the kept bytes and the FLOPs of the gradient of some clips."""
  mesh = jax.sharding.AbstractMesh(
      (1, 1),
      mesh_lib.BATCH_AXES,
      axis_types=(jax.sharding.AxisType.Auto,) * 2,
      abstract_device=jax.sharding.AbstractDevice(
          chip.kind, 1, 'tpu' if chip.is_tpu else 'cuda'
      ),
  )
  key = jax.eval_shape(jax.random.key, 0)
  batch = {
      name: jax.ShapeDtypeStruct((num_clips, *x.shape[1:]), x.dtype)
      for name, x in objective.batch.items()
  }

  def pull_back(params, *inputs):
    """Returns the function for the backward pass, and the gradient.

    The leaves of the function are the arrays that the forward pass keeps.
    """
    loss, pull = jax.vjp(lambda x: objective.loss(x, *inputs), params)
    return pull, pull(jnp.ones_like(loss))

  with jax.sharding.use_abstract_mesh(mesh):
    params = jax.eval_shape(objective.cast, jax.eval_shape(objective.init, key))
    inputs = jax.eval_shape(objective.sample, key, batch)
    closed, shapes = jax.make_jaxpr(pull_back, return_shape=True)(
        params, *inputs
    )
  num_kept = len(jax.tree.leaves(shapes[0]))
  given = {id(x) for x in (*closed.jaxpr.invars, *closed.jaxpr.constvars)}
  # A value that is kept for several purposes is one array and counts once. What
  # the gradient is given, such as parameters, is there in any case.
  kept = {
      id(x): x.aval
      for x in closed.jaxpr.outvars[:num_kept]
      if id(x) not in given and not isinstance(x, core.Literal)
  }
  num_bytes = sum(x.size * x.dtype.itemsize for x in kept.values())
  return num_bytes, count_flops(closed.jaxpr)


def count_flops(jaxpr: Any) -> int:
  """Returns the FLOPs of the matrix products in a traced function.

  Args:
    jaxpr: the function, a `core.Jaxpr`.
  """
  total = 0
  for equation in jaxpr.eqns:
    if equation.primitive.name == 'dot_general':
      (contracted, _), _ = equation.params['dimension_numbers']
      shape = equation.invars[0].aval.shape
      depth = math.prod(shape[axis] for axis in contracted)
      total += 2 * depth * equation.outvars[0].aval.size
    elif equation.primitive.name != 'pallas_call':
      rounds = equation.params.get('length', 1)
      inner = sum(count_flops(x) for x in _list_inner(equation.params))
      total += rounds * inner
  return total


def _list_inner(params: dict[str, Any]) -> Iterator[Any]:
  """Yields the functions that an equation calls."""
  for value in params.values():
    for x in value if isinstance(value, (list, tuple)) else [value]:
      if isinstance(x, core.ClosedJaxpr):
        yield x.jaxpr
      elif isinstance(x, core.Jaxpr):
        yield x
