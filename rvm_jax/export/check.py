"""What every export is held against: our own features of a made-up video."""

from collections.abc import Iterator, Mapping
import functools
from typing import Any

import jax
import numpy as np

from rvm_jax.models import rvm
from rvm_jax.ops import positions

TOLERANCE = 1e-4  # Of every feature, absolute.


def make_videos(
    patch: int,
    batch: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Iterator[np.ndarray]:
  """Noise, uint8 [B, 2, H, W, 3], on a small grid, the native and a large one.

  What is given is kept: all three leave one video.
  """
  rows, columns = positions.NATIVE_GRID
  sizes = [
      (batch or b, height or h * patch, width or w * patch)
      for b, h, w in ((2, 2, 3), (1, rows, columns), (1, rows + 2, columns + 3))
  ]
  rng = np.random.default_rng(0)
  for b, h, w in dict.fromkeys(sizes):
    yield rng.integers(0, 256, (b, 2, h, w, 3), np.uint8)


def encode(
    model: rvm.RVM, params: Mapping[str, Any], video: np.ndarray
) -> np.ndarray:
  """Features [B, T, 1 + N, D] of a video, uint8 [B, T, H, W, 3]."""
  return np.asarray(_encode(model, params, np.float32(video) / 255))


@functools.partial(jax.jit, static_argnums=0)
def _encode(model, params, frames):
  return model.apply({'params': params}, frames, method='encode')[0]


def compare(found: np.ndarray, expected: np.ndarray) -> float:
  """The largest difference of two arrays of features.

  Raises:
    RuntimeError: it is above `TOLERANCE`, or not a number.
  """
  error = float(np.abs(found - expected).max())
  if not error <= TOLERANCE:
    raise RuntimeError(
        f'the export does not reproduce our features: they differ by {error},'
        f' and at most {TOLERANCE} is allowed; nothing was written'
    )
  return error
