"""Applies models without their transformers, to see what these are given."""

from collections.abc import Iterator
import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

_ENCODER, _OTHERS = 'encoder', ('decoder', 'predictor')


@contextlib.contextmanager
def skip_transformers() -> Iterator[list[tuple[jax.Array, ...]]]:
  """Replaces the transformers of models that are applied inside of the context.

  An encoder then returns the position embeddings that it is given, and a
  decoder or predictor its queries.

  Yields:
    A list, to which each call of a transformer appends its arguments.
  """
  calls = []

  def skip(apply, args, kwargs, context):
    name = context.module.name
    if context.method_name != '__call__' or name not in (_ENCODER, *_OTHERS):
      return apply(*args, **kwargs)
    calls.append(args)
    if name in _OTHERS:
      return args[0]
    patches, positions = args
    return jnp.broadcast_to(
        positions, (*patches.shape[:2], context.module.width)
    )

  with nn.intercept_methods(skip):
    yield calls


def draw_params(objective):
  """Returns random parameters of an objective, which are quick to make."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(objective.init, jax.random.key(0))
  return jax.tree.map(
      lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes
  )


def apply_dense(params, x):
  """Returns what a dense layer makes of `x`, in float64."""
  params = {key: np.float64(array) for key, array in params.items()}
  return np.float64(x) @ params['kernel'] + params.get('bias', 0)
