"""Kinds of accelerators."""

import itertools
import math
from typing import NamedTuple

from rvm_jax.training import peaks
from rvm_jax.training.plan import gpus

_GIB = 2**30
# Share of a GPU's memory that JAX takes, unless the environment variable
# XLA_PYTHON_CLIENT_MEM_FRACTION says otherwise.
_GPU_SHARE = 0.75


class Chip(NamedTuple):
  """A kind of accelerator. JAX sees each accelerator as one device.

  Attributes:
    name: name of the chip in topologies, such as 'v6e'.
    kind: name of the device, as `jax.Device.device_kind` says it.
    memory: bytes of HBM that a program can use.
    bandwidth: greatest speed of the HBM in bytes a second.
    interconnect: greatest speed in bytes a second with which a chip sends to
      others of its slice or machine.
    clock: clock cycles a second.
    per_host: number of chips of one host.
    shapes: shapes of the slices that exist, in chips; for GPUs the numbers of
      GPUs that a machine can have.
  """

  name: str
  kind: str
  memory: int
  bandwidth: float
  interconnect: float
  clock: float
  per_host: int
  shapes: tuple[tuple[int, ...], ...]

  @property
  def peak(self) -> float:
    """Greatest FLOP/s of matrix products of bfloat16.

    Raises:
      ValueError: `training.peaks` does not have the chip.
    """
    peak = peaks.find(self.kind)
    if peak is None:
      raise ValueError(
          f'rvm_jax/training/peaks.py has no peak of {self.kind}; add it there'
      )
    return peak

  @property
  def is_tpu(self) -> bool:
    """Whether the chip is a TPU."""
    return self.name not in gpus.TARGETS


def _list_large_slices() -> tuple[tuple[int, ...], ...]:
  """Returns the shapes of v5p slices of 64 to 6144 chips.

  Their sides are multiples of 4 in ascending order.
  """
  sides = itertools.combinations_with_replacement(range(4, 25, 4), 3)
  return tuple(x for x in sides if math.prod(x) <= 6144)


# Shapes of the slices of v5e and v6e, and of the smaller slices of v5p.
_FLAT = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_SMALL = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4))

# Shapes, speeds and chips a host are those of docs.cloud.google.com/tpu/docs,
# the page of each version, and of NVIDIA's data sheet of the H100, whose NVLink
# has 900 GB/s in both directions together. The memory of TPUs is what their
# compiler names when a program does not fit (libtpu 0.0.42). Their clocks
# follow from their peaks: a v6e does 2 * 4 * 256 ** 2 FLOPs in a cycle, while a
# v5e and each of the two cores of a v5p do 2 * 4 * 128 ** 2.
CHIPS = {
    'v5e': Chip(
        name='v5e',
        kind='TPU v5 lite',
        memory=int(15.75 * _GIB),
        bandwidth=819e9,
        interconnect=200e9,
        clock=1.5e9,
        per_host=4,
        shapes=_FLAT,
    ),
    'v5p': Chip(
        name='v5p',
        kind='TPU v5',
        memory=int(95.74 * _GIB),
        bandwidth=2765e9,
        interconnect=600e9,
        clock=1.75e9,
        per_host=4,
        shapes=_SMALL + _list_large_slices(),
    ),
    'v6e': Chip(
        name='v6e',
        kind='TPU v6 lite',
        memory=int(31.25 * _GIB),
        bandwidth=1640e9,
        interconnect=448e9,
        clock=1.75e9,
        per_host=4,
        shapes=_FLAT,
    ),
    'h100': Chip(
        name='h100',
        kind='NVIDIA H100 80GB HBM3',
        memory=int(_GPU_SHARE * 84942979072),
        bandwidth=3352e9,
        interconnect=450e9,
        clock=1.98e9,
        per_host=8,
        shapes=((1,), (2,), (4,), (8,)),
    ),
}
