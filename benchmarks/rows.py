"""Random models and frames, and memory: shared by several benchmarks.

`streaming.py` and `usage.py` measure each row of their tables in a process of
its own, with `measure`.
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
  """Calls a function in a new process.

  If the calling process uses no accelerator, all of the accelerator's memory is
  free for the new process.

  Args:
    function: the function, which must be at the top level of a module.
    seconds: longest time to wait for the result; None for no limit. The process
      is ended then.
    **how: keyword arguments of the function.

  Returns:
    What the function returns, or None if it takes more than `seconds`.
  """
  with multiprocessing.get_context('spawn').Pool(1) as pool:
    try:
      return pool.apply_async(function, kwds=how).get(seconds)
    except multiprocessing.TimeoutError:
      return None


def make_rvm(size: str, **how) -> tuple[rvm.RVM, dict]:
  """Returns an RVM without decoder, and random parameters for it.

  Args:
    size: a key of `rvm.SIZES`.
    **how: further attributes of `rvm.RVM`, by name.
  """
  model = rvm.RVM(**rvm.SIZES[size], decoder_layers=0, **how)
  return model, random_like(released.shapes(model))


def random_like(shapes):
  """Returns small random weights. Neither time nor memory depends on weights.

  Args:
    shapes: tree of arrays or of jax.ShapeDtypeStructs.

  Returns:
    Tree of float32 arrays with the same shapes.
  """
  rng = np.random.default_rng(0)

  def sample(x):
    return np.float32(0.02) * rng.standard_normal(x.shape, np.float32)

  return jax.tree.map(sample, shapes)


def random_frames(count: int, resolution: int) -> np.ndarray:
  """Returns random frames, uint8 [count, resolution, resolution, 3]."""
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (count, resolution, resolution, 3), np.uint8)


def count_params(tree) -> int:
  """Returns the number of parameters in a tree of arrays."""
  return sum(x.size for x in jax.tree.leaves(tree))


def peak_memory() -> float:
  """Returns the peak of the memory in use so far, in GB.

  It is the memory of the first device, or that of this process if the device
  does not tell, as a CPU.
  """
  if stats := jax.local_devices()[0].memory_stats():
    return stats['peak_bytes_in_use'] / 1e9
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
