"""Rows of benchmarks: each measured in a process of its own, on random weights.

Imported by the scripts beside it.
"""

from collections.abc import Callable
import multiprocessing
import resource
from typing import Any

import jax
import numpy as np

from rvm_jax.models import rvm
from rvm_jax.weights import released


def measure(
    function: Callable[..., dict], seconds: float | None = None, **how
) -> dict[str, Any] | None:
  """Calls a function of a script in a new process.

  The calling process itself never touches an accelerator.

  Returns:
    What the function returns, or None if that takes more than `seconds`.
  """
  with multiprocessing.get_context('spawn').Pool(1) as pool:
    try:
      return pool.apply_async(function, kwds=how).get(seconds)
    except multiprocessing.TimeoutError:
      return None


def make_rvm(size: str, **how) -> tuple[rvm.RVM, dict]:
  """Encoder and core alone, with random parameters."""
  model = rvm.RVM(**rvm.SIZES[size], decoder_layers=0, **how)
  return model, random_like(released.shapes(model))


def random_like(shapes):
  """Small numbers: weights cost the same whatever they are."""
  rng = np.random.default_rng(0)
  draw = lambda x: np.float32(0.02) * rng.standard_normal(x.shape, np.float32)
  return jax.tree.map(draw, shapes)


def random_frames(count: int, resolution: int) -> np.ndarray:
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (count, resolution, resolution, 3), np.uint8)


def count_params(tree) -> int:
  return sum(x.size for x in jax.tree.leaves(tree))


def peak_memory() -> float:
  """Greatest so far, GB: of an accelerator if there is one, or the process."""
  if stats := jax.local_devices()[0].memory_stats():
    return stats['peak_bytes_in_use'] / 1e9
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
