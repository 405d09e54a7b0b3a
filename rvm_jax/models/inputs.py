"""Checks of the arrays that are given to RVM."""

import jax
import jax.numpy as jnp
import numpy as np

from rvm_jax.models import decoder


def check_frames(name: str, frames: jax.Array):
  """Raises ValueError unless frames are uint8 or floats [B, T, H, W, 3]."""
  if frames.ndim != 5 or frames.shape[-1] != 3 or not frames.shape[1]:
    raise ValueError(
        f'{name} must be [batch, time, height, width, 3] with at least one'
        f' frame, got {frames.shape}'
    )
  if frames.dtype != jnp.uint8 and not jnp.issubdtype(
      frames.dtype, jnp.floating
  ):
    raise ValueError(
        f'{name} must be uint8, or floats in [0, 1], got {frames.dtype}'
    )


def check_targets(
    source: jax.Array,
    target: jax.Array,
    deltas: jax.Array,
    visible: jax.Array,
):
  """Raises ValueError unless the arguments of `RVM.__call__` fit together."""
  check_frames('source', source)
  check_frames('target', target)
  batch, _, *size = source.shape
  num_targets = target.shape[1]
  expected = (batch, num_targets)
  for name, found, wanted in (
      ('target', target.shape, (*expected, *size)),
      ('deltas', deltas.shape, expected),
      ('visible', visible.shape, (*expected, *visible.shape[-1:])),
  ):
    if found != wanted:
      raise ValueError(
          f'{name} must have the shape {wanted}, which fits source'
          f' {source.shape} and {num_targets} targets, got {found}'
      )
  for name, x in (('deltas', deltas), ('visible', visible)):
    if not jnp.issubdtype(x.dtype, jnp.integer):
      raise ValueError(f'{name} must hold integers, got {x.dtype}')
  # While a function is traced, the values of its arguments are not known.
  if not isinstance(deltas, jax.core.Tracer):
    known = np.asarray(deltas)
    if known.min() < 0 or known.max() >= decoder.NUM_DELTAS:
      raise ValueError(
          f'deltas must lie in 0..{decoder.NUM_DELTAS - 1},'
          f' got {known.tolist()}'
      )
