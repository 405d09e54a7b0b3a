"""Gradients that are computed for one part of a batch after the other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def accumulate(
    value_and_grad: Callable[..., tuple[jax.Array, Any]],
    params: Any,
    inputs: Any,
    num_parts: int,
) -> tuple[jax.Array, Any]:
  """Returns loss and gradient as means over equal parts of the inputs.

  Args:
    value_and_grad: function that takes parameters and inputs and returns the
      mean loss over the inputs' rows, and its gradient.
    params: parameters.
    inputs: tuple of trees of arrays whose first axis is the batch axis.
    num_parts: number of parts, which divides the number of rows.
  """
  if num_parts == 1:
    return value_and_grad(params, *inputs)

  def split(x):
    # A part takes every num_parts-th row, so that its rows are spread over all
    # devices, as those of the batch are.
    x = x.reshape(len(x) // num_parts, num_parts, *x.shape[1:])
    return x.swapaxes(0, 1)

  def add(total, part):
    return jax.tree.map(jnp.add, total, value_and_grad(params, *part)), None

  zero = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), params))
  total, _ = jax.lax.scan(add, zero, jax.tree.map(split, inputs))
  return jax.tree.map(lambda x: x / num_parts, total)
