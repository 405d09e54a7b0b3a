"""Slices of TPUs and machines with GPUs, as devices to compile for.

A topology is named like 'v6e:16x16', a slice of 256 chips; '2xv6e:16x16', two
such slices that a network joins; or 'h100:8', a machine with 8 GPUs.
"""

import importlib.metadata
import math
import os
import re
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
import numpy as np

from rvm_jax.training.plan import chips
from rvm_jax.training.plan import gpus


class CompilerMissing(ImportError):
  """The compiler for a topology is missing or has a wrong version."""


class Topology(NamedTuple):
  """A set of chips that a run can have.

  Attributes:
    name: name of the topology, such as '2xv6e:16x16'.
    chip: the kind of its chips.
    shape: number of chips along each axis of a slice; for GPUs the number of
      GPUs in a machine.
    num_slices: number of slices or of machines.
  """

  name: str
  chip: chips.Chip
  shape: tuple[int, ...]
  num_slices: int

  @property
  def num_devices(self) -> int:
    """Number of chips in all slices."""
    return math.prod(self.shape) * self.num_slices

  @property
  def num_hosts(self) -> int:
    """Number of hosts, each of which reads data for its own chips."""
    in_slice = math.prod(self.shape)
    return self.num_slices * max(1, in_slice // self.chip.per_host)


_NAME = re.compile(r'(?:(\d+)x)?([a-z]\w*):(\d+(?:x\d+)*)')


def find(name: str) -> Topology:
  """Returns the topology of a name.

  Args:
    name: name of a topology, such as 'v6e:16x16', '2xv6e:16x16' or 'h100:8'.

  Raises:
    ValueError: there is no such topology. The message lists those that are
      near.
  """
  found = _NAME.fullmatch(name)
  if not found:
    raise ValueError(
        f'--topology={name} must be CHIP:SHAPE, or SLICESxCHIP:SHAPE for'
        ' several slices, such as v6e:16x16, 2xv6e:16x16, v5p:4x4x8 or h100:8'
    )
  slices, kind, sides = found.groups()
  if kind not in chips.CHIPS:
    raise ValueError(
        f'--topology={name} has an unknown chip; known are'
        f' {", ".join(chips.CHIPS)}'
    )
  chip = chips.CHIPS[kind]
  shape = tuple(int(x) for x in sides.split('x'))
  if shape not in chip.shapes:
    near = ', '.join(_join(x) for x in _near(shape, chip.shapes))
    raise ValueError(
        f'--topology={name}: {sides} is no slice of {kind}; near: {near}'
    )
  count = int(slices or 1)
  if not 1 <= count <= 64:
    raise ValueError(f'--topology={name} must have 1 to 64 slices, got {count}')
  return Topology(name, chip, shape, count)


def devices(topology: Topology) -> np.ndarray:
  """Returns the devices of a topology, for which programs can be compiled.

  They cannot run programs. The devices of a slice follow each other.

  Args:
    topology: the topology, as returned by `find`.

  Returns:
    A 1-D array of `jax.Device`s.

  Raises:
    CompilerMissing: the compiler is not installed, or in another version than
      this version of JAX needs.
  """
  chip, slices = topology.chip, topology.num_slices
  if not chip.is_tpu:
    try:
      description = topologies.get_topology_desc(
          platform='cuda',
          target_config=gpus.TARGETS[chip.name],
          topology=f'1x{slices}x{topology.shape[0]}',
      )
    except NotImplementedError as error:
      raise CompilerMissing(_advise('gpu-plan')) from error
    return np.array(description.devices)
  _check_libtpu()
  # Without these settings libtpu asks for a TPU of this machine, which may be
  # absent or in use.
  os.environ['TPU_SKIP_MDS_QUERY'] = '1'
  os.environ['ALLOW_MULTIPLE_LIBTPU_LOAD'] = '1'
  options: dict[str, Any] = {'num_slices': slices} if slices > 1 else {}
  # Hosts usually have several chips. That of a slice of one chip has only one.
  if math.prod(topology.shape) == 1:
    options['chips_per_host_bounds'] = (1, 1, 1)
  description = topologies.get_topology_desc(
      platform='tpu',
      topology_name=f'{chip.name}:{_join(topology.shape)}',
      **options,
  )
  return np.array(description.devices)


def versions(topology: Topology) -> dict[str, str]:
  """Returns the version of the compiler for a topology, {} without one."""
  package = 'libtpu' if topology.chip.is_tpu else 'jax-cuda12-pjrt'
  try:
    return {package: importlib.metadata.version(package)}
  except importlib.metadata.PackageNotFoundError:
    return {}


def _check_libtpu():
  """Raises `CompilerMissing` unless the libtpu that JAX needs is installed."""
  try:
    found = importlib.metadata.version('libtpu')
  except importlib.metadata.PackageNotFoundError as error:
    raise CompilerMissing(_advise('tpu-plan')) from error
  needed = [
      wanted.group(1)
      for line in importlib.metadata.requires('jax') or ()
      if (wanted := re.match(r'libtpu==([\d.]+)\.\*', line))
  ]
  if needed and not f'{found}.'.startswith(f'{needed[0]}.'):
    raise CompilerMissing(
        f'libtpu {found} is installed, but jax {jax.__version__} needs'
        f' {needed[0]}.*: {_advise("tpu-plan")}'
    )


def _advise(extra: str) -> str:
  """Returns what to do about a missing compiler."""
  return (
      f"to compile, install it with pip install -e '.[{extra}]'; without it,"
      ' --formula estimates the memory'
  )


def _near(
    shape: tuple[int, ...], shapes: tuple[tuple[int, ...], ...]
) -> list[tuple[int, ...]]:
  """Returns the three shapes whose number of chips is nearest to a shape's."""

  def distance(other):
    ratio = math.prod(other) / max(math.prod(shape), 1)
    return abs(math.log(ratio)), abs(len(other) - len(shape))

  return sorted(shapes, key=distance)[:3]


def _join(shape: tuple[int, ...]) -> str:
  """Returns a shape as it is written in names, such as '16x16'."""
  return 'x'.join(map(str, shape))
