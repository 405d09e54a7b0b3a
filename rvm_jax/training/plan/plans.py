"""The numbers of a plan: what a run needs on the devices of a topology."""

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
    kernel_source: how `kernel_seconds` was found. With 'bundles' the bundles of
      each kernel were counted, as `kernels` describes. With 'bytes' that failed
      for some kernels, and the least time that their memory traffic takes was
      used for these.
    num_kernels: number of kernels that are executed.
    collectives: the collectives by kind.
    parts: costs of the parts of the model, the costliest first, as
      `parts.sum_parts` returns them.
    compile_seconds: time that compiling took.
    compile_cpu_seconds: processor time that compiling took, over all cores.
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
    obstacle: why there is no compiled program, to be read after 'not compiled',
      such as 'not asked for'; '' if there is one.
    is_refused: whether the compiler says that the step does not fit.
    advice: settings to use in place of those of the config, which do not fit;
      None if those fit, or if the formula finds no others that do.
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
    """Lower bound of the time of a step.

    It is the time of the model's FLOPs at the peak, or that of the memory
    traffic at the bandwidth, whichever is longer.
    """
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
    """Number of processor cores that have to read data for one device.

    Steps are assumed to take the compiler's estimate, or their least time if
    there is no estimate. None if `core_rate` is None.
    """
    if self.core_rate is None:
      return None
    seconds = self.estimated_seconds or self.least_seconds
    clips = self.batch_size / self.topology.num_devices
    return clips / seconds / self.core_rate

  @property
  def reduced_share(self) -> float | None:
    """Number of elements that are reduced over devices, for each parameter.

    None if the step was not compiled.
    """
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
    """Versions of JAX and of the compiler, on which the numbers depend."""
    return {'jax': jax.__version__, **topologies.versions(self.topology)}
