"""What a run will need on devices that are not there, in numbers."""

from typing import NamedTuple

import jax

from rvm_jax.training.plan import collectives
from rvm_jax.training.plan import formula
from rvm_jax.training.plan import parts
from rvm_jax.training.plan import search
from rvm_jax.training.plan import topologies


class Program(NamedTuple):
  """What a compiled step costs one device.

  Attributes:
    hbm_bytes: bytes that it moves from and to the HBM.
    outside_seconds: the compiler's estimate of the time outside of kernels and
      collectives; None for GPUs.
    kernel_seconds: time in Pallas kernels.
    kernel_source: how `kernel_seconds` was found: 'bundles' as in `kernels`, or
      'bytes', the time that their memory traffic takes at least.
    num_kernels: number of kernels that are executed.
    collectives: the collectives by kind.
    parts: the costliest parts, see `parts.sum_parts`.
    compile_seconds: time that compiling took.
    compile_cpu_seconds: the same, as the time of all processor cores.
  """

  hbm_bytes: int
  outside_seconds: float | None
  kernel_seconds: float
  kernel_source: str
  num_kernels: int
  collectives: dict[str, collectives.Collective]
  parts: list[parts.Part]
  compile_seconds: float
  compile_cpu_seconds: float


class Plan(NamedTuple):
  """What a run needs.

  Attributes:
    config: path of the config.
    topology: the devices.
    settings: the settings that decide about memory.
    batch_size: number of clips in a step.
    num_steps: number of steps of the run.
    num_params: number of parameters of the model.
    memory: memory of each device, by what it is for.
    formula_bytes: the memory of a device that the formula estimates.
    flops_per_clip: FLOPs of the model in a step, for one clip.
    clip_bytes: bytes of the frames of a clip.
    program: what the compiled step costs; None if it was not compiled.
    obstacle: why the step could not be compiled, or ''.
    is_refused: whether the compiler says that the step does not fit.
    advice: settings that fit, if those of the config do not; None if none do or
      if it is not known.
    core_rate: clips a second that a core of a host reads; None if not measured.
  """

  config: str
  topology: topologies.Topology
  settings: search.Settings
  batch_size: int
  num_steps: int
  num_params: int
  memory: formula.Memory
  formula_bytes: int
  flops_per_clip: float
  clip_bytes: int
  program: Program | None
  obstacle: str
  is_refused: bool
  advice: search.Settings | None
  core_rate: float | None = None

  @property
  def is_fitting(self) -> bool:
    """Whether the step fits into the memory of a device."""
    is_small = self.memory.total <= self.topology.chip.memory
    return is_small and not self.is_refused

  @property
  def model_seconds(self) -> float:
    """Time of a step at the peak of all devices."""
    flops = self.flops_per_clip * self.batch_size
    return flops / self.topology.num_devices / self.topology.chip.peak

  @property
  def least_seconds(self) -> float:
    """Least time of a step: at the peak, and at the speed of the memory."""
    moved = self.program.hbm_bytes if self.program else 0
    return max(self.model_seconds, moved / self.topology.chip.bandwidth)

  @property
  def estimated_seconds(self) -> float | None:
    """The compiler's estimate of a step, without collectives; None for GPUs."""
    if self.program is None or self.program.outside_seconds is None:
      return None
    return self.program.outside_seconds + self.program.kernel_seconds

  @property
  def cores_per_device(self) -> float | None:
    """Cores that read data for one device, if steps take their least time.

    None if it was not measured how fast a core is.
    """
    if self.core_rate is None:
      return None
    seconds = self.estimated_seconds or self.least_seconds
    clips = self.batch_size / self.topology.num_devices
    return clips / seconds / self.core_rate

  @property
  def reduced_share(self) -> float | None:
    """Elements that are reduced over devices, for each parameter."""
    if self.program is None:
      return None
    found = self.program.collectives
    elements = sum(
        found[kind].elements
        for kind in ('all-reduce', 'reduce-scatter')
        if kind in found
    )
    return elements / self.num_params

  @property
  def versions(self) -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {'jax': jax.__version__, **topologies.versions(self.topology)}
