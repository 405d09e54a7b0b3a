"""TPU slices: the numbers of hosts and devices of a topology.

Sources: "Plan TPUs in GKE" and the pages of each TPU version in Google Cloud's
documentation. Slices of more than one chip are assumed to consist of machines
with up to four chips; the machines of eight chips that v5e and v6e also have
are not used.
"""

import dataclasses
import math
import re

_CHIPS_PER_HOST = 4


@dataclasses.dataclass(frozen=True)
class Generation:
  """A TPU version.

  Attributes:
    gke: value of GKE's node label cloud.google.com/gke-tpu-accelerator.
    prefix: name of the version for xpk, gcluster and the Cloud TPU API. The
      name of a slice is 'PREFIX-SIZE', or 'PREFIX-TOPOLOGY' for xpk.
    num_axes: number of axes of a topology.
    max_chips: number of chips in the largest slice.
    cores: number by which a chip increases SIZE: 2 on v4, v5p and TPU7x, where
      SIZE counts cores, and 1 where it counts chips.
    devices: number of JAX devices of a chip. Each of the two chiplets of TPU7x
      is a device.
    runtime: version of the TPU software that the Cloud TPU API requires; None
      if that API does not serve this TPU version.
  """

  gke: str
  prefix: str
  num_axes: int
  max_chips: int
  cores: int
  devices: int
  runtime: str | None


GENERATIONS = {
    'v4': Generation(
        'tpu-v4-podslice', 'v4', 3, 4096, 2, 1, 'tpu-ubuntu2204-base'
    ),
    'v5e': Generation(
        'tpu-v5-lite-podslice',
        'v5litepod',
        2,
        256,
        1,
        1,
        'v2-alpha-tpuv5-lite',
    ),
    'v5p': Generation('tpu-v5p-slice', 'v5p', 3, 6144, 2, 1, 'v2-alpha-tpuv5'),
    'v6e': Generation('tpu-v6e-slice', 'v6e', 2, 256, 1, 1, 'v2-alpha-tpuv6e'),
    'tpu7x': Generation('tpu7x', 'tpu7x', 3, 9216, 2, 2, None),
}
_FLAT = ('1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16')
_SMALL_CUBES = ('2x2x1', '2x2x2', '2x2x4', '2x4x4')


@dataclasses.dataclass(frozen=True)
class Slice:
  """A slice, such as 'v5e:4x4'.

  Attributes:
    version: a key of `GENERATIONS`.
    topology: number of chips along each axis, such as '4x4'.
  """

  version: str
  topology: str

  @property
  def generation(self) -> Generation:
    """The generation of the slice's chips."""
    return GENERATIONS[self.version]

  @property
  def chips(self) -> int:
    """Number of chips in the slice."""
    return math.prod(int(side) for side in self.topology.split('x'))

  @property
  def chips_per_host(self) -> int:
    """Number of chips of a host."""
    return min(self.chips, _CHIPS_PER_HOST)

  @property
  def hosts(self) -> int:
    """Number of hosts in the slice."""
    return self.chips // self.chips_per_host

  @property
  def devices_per_host(self) -> int:
    """Number of JAX devices of a host."""
    return self.chips_per_host * self.generation.devices

  @property
  def size(self) -> str:
    """The name PREFIX-SIZE, such as 'v5litepod-16' or 'v5p-32'."""
    return f'{self.generation.prefix}-{self.chips * self.generation.cores}'


def parse(text: str) -> Slice:
  """Returns the slice that a text names.

  Args:
    text: VERSION:TOPOLOGY, such as 'v5e:4x4'.

  Raises:
    ValueError: the version does not exist, or does not have the topology.
  """
  version, _, topology = text.partition(':')
  if version not in GENERATIONS:
    raise ValueError(
        f'--topology={text}: the TPU version must be one of'
        f' {", ".join(GENERATIONS)}, as in v5e:4x4'
    )
  if not _exists(version, topology):
    axes = GENERATIONS[version].num_axes
    known = _FLAT if axes == 2 else (*_SMALL_CUBES, '4x4x4', '4x4x8', '...')
    raise ValueError(
        f'--topology={text}: {version} has no such topology; it has'
        f' {", ".join(known)}'
    )
  return Slice(version, topology)


def _exists(version: str, topology: str) -> bool:
  generation = GENERATIONS[version]
  if generation.num_axes == 2:
    return topology in _FLAT
  if topology in _SMALL_CUBES:
    return True
  # Larger slices consist of cubes of 4 x 4 x 4 chips, and their sides are given
  # in ascending order.
  if not re.fullmatch(r'\d+x\d+x\d+', topology):
    return False
  sides = [int(side) for side in topology.split('x')]
  return (
      all(side > 0 and side % 4 == 0 for side in sides)
      and sides == sorted(sides)
      and math.prod(sides) <= generation.max_chips
  )
