"""The dtypes in which the parameters of a model are used."""

from typing import Any

import jax
import jax.numpy as jnp


def cast(params: Any, dtype: str) -> Any:
  """Casts parameters to the model's dtype, except for vectors.

  Vectors stay in float32, because the models use scales and biases of norms in
  float32. See `protocols.Objective.cast`.

  Args:
    params: tree of parameters.
    dtype: dtype of the model's matrix products.
  """
  return jax.tree.map(
      lambda x: x.astype(jnp.dtype(dtype)) if x.ndim > 1 else x, params
  )
