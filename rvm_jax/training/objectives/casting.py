"""The dtypes in which the parameters of a model are used."""

from typing import Any

import jax
import jax.numpy as jnp


def cast(params: Any, dtype: str) -> Any:
  """Returns all but vectors in the model's dtype, see `Objective.cast`.

  The models use scales and biases of norms, which are vectors, in float32.

  Args:
    params: tree of parameters.
    dtype: dtype of the model's matrix products.
  """
  return jax.tree.map(
      lambda x: x.astype(jnp.dtype(dtype)) if x.ndim > 1 else x, params
  )
