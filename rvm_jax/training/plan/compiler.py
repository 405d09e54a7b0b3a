"""Compiles the step of a run for devices that this machine need not have."""

import re
import time
from typing import Any, NamedTuple

import jax
import ml_collections

from rvm_jax.training import boxes
from rvm_jax.training import mesh as mesh_lib
from rvm_jax.training import objectives
from rvm_jax.training import program as program_lib
from rvm_jax.training.plan import topologies

# The needed memory, in a compiler's message about a program that does not fit.
_NEEDED = re.compile(r'(?:Used|required)[^\d]*([\d.]+)([KMGT])')
_UNITS = {'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}


class Compiled(NamedTuple):
  """A compiled step.

  Attributes:
    text: the program in the text form that `hlo` reads.
    arguments: bytes of the training state and of the batch on each device.
    temporary: bytes that the program needs on each device besides its
      arguments. Its results take no more, since they replace the arguments.
    seconds: time that compiling took.
    cpu_seconds: processor time that compiling took, over all cores.
  """

  text: str
  arguments: int
  temporary: int
  seconds: float
  cpu_seconds: float


class DoesNotFit(Exception):
  """A step needs more memory than a device has.

  Attributes:
    needed: bytes that it needs; None if the compiler does not say.
  """

  def __init__(self, message: str, needed: int | None):
    super().__init__(message)
    self.needed = needed


def compile_step(
    config: ml_collections.ConfigDict, topology: topologies.Topology
) -> Compiled:
  """Compiles the step of a run.

  Args:
    config: the run's config, as in configs/rvm_base.py.
    topology: the devices of the run.

  Raises:
    CompilerMissing: the compiler is not installed.
    DoesNotFit: the step needs more memory than a device has.
    ValueError: settings are wrong, or do not fit the number of devices.
    jax.errors.JaxRuntimeError: the compiler fails for another reason.
  """
  devices = topologies.devices(topology)
  objective = objectives.from_config(config)
  program = program_lib.build(config, objective, list(devices))
  shardings = mesh_lib.state_shardings(program.shapes, program.mesh)
  state = jax.tree.map(_place, program.shapes, shardings)
  rows = mesh_lib.batch_sharding(program.mesh)
  sent = boxes.shapes_sent(objective.batch, config.data)
  batch = {key: _place(x, rows) for key, x in sent.items()}
  with jax.set_mesh(program.mesh):
    step: Any = program.step
    lowered = step.trace(state, batch).lower(
        lowering_platforms=None if topology.chip.is_tpu else ('cuda',)
    )
  # Autotuning measures kernels on a GPU, which may be absent. The rest of the
  # compilation needs none.
  options = {} if topology.chip.is_tpu else {'xla_gpu_autotune_level': '0'}
  start, cpu_start = time.perf_counter(), time.process_time()
  try:
    compiled = lowered.compile(compiler_options=options)
  except jax.errors.JaxRuntimeError as error:
    if not str(error).startswith('RESOURCE_EXHAUSTED'):
      raise
    raise DoesNotFit(str(error), _find_needed(str(error))) from error
  memory = compiled.memory_analysis()
  return Compiled(
      compiled.as_text(),
      memory.argument_size_in_bytes,
      memory.temp_size_in_bytes,
      time.perf_counter() - start,
      time.process_time() - cpu_start,
  )


def _place(
    x: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding
) -> jax.ShapeDtypeStruct:
  """Returns the description of an array with a sharding."""
  return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def _find_needed(message: str) -> int | None:
  """Returns the bytes that a message says a program needs."""
  found = _NEEDED.search(message)
  return found and int(float(found.group(1)) * _UNITS[found.group(2)])
