"""Counts FLOPs and memory of encoders against the number of frames of a video.

  python benchmarks/cost.py                     # counts what is missing
  python benchmarks/cost.py rvm.L dinov2.B      # some encoders, again
  python benchmarks/cost.py --topology=v6e:1x1  # with the compiler for TPUs
  python benchmarks/cost.py --latency           # times the smallest on this CPU
  python benchmarks/cost.py --page              # docs/cost.md and docs/cost.png

XLA compiles the program of each encoder for 256 x 256 pixels and tells its
FLOPs and memory. Only --latency runs the programs. RVM and image models get one
frame a call. Clip models get 2 to 1024 frames a call, whose tokens all attend
to each other; a window is a call of 16 frames. Results are kept as JSON in
benchmarks/cost/ with the versions of JAX and of the compiler. --topology needs
the extra `tpu-plan` and takes minutes for an encoder. --page needs the extra
`bench`.
"""

import argparse
import datetime
import functools
import json
import math
import os
import pathlib
import platform
import time
from typing import Any
from unittest import mock

import contenders
import jax
import numpy as np
import rows
import video_cost

from rvm_jax.ops.attention import xla
from rvm_jax.training.plan import compiler
from rvm_jax.training.plan import planning
from rvm_jax.training.plan import topologies

# Encoders that are timed on the CPU, and the frames of their calls.
TIMED = (
    ('rvm.S', 1),
    ('dinov2.S', 1),
    ('dinov3.S', 1),
    ('videomae.S', 16),
    ('videomae.S', 32),
)


def list_calls(kind: str, module: Any) -> list[int]:
  """Returns the numbers of frames in the calls that an encoder is compiled for.

  Args:
    kind: `kind` of the encoder's family.
    module: the encoder.
  """
  if kind == 'clip':
    return [x for x in video_cost.FRAMES if x % module.tubelet == 0]
  return [1]


def count_on_host(module: Any, num_frames: int) -> dict[str, Any]:
  """Compiles a call for this machine's CPU and counts what it costs.

  Long attention is computed by a loop over blocks of queries. XLA counts the
  FLOPs of a loop's body only once. The FLOPs are therefore taken from a second
  program without the loop, in which all queries attend at once and which does
  the same work.

  Args:
    module: the encoder.
    num_frames: number of frames of the call.

  Returns:
    Number of 'frames', number of 'flops', and the bytes of the 'arguments', of
    the 'temporary' arrays and of the 'outputs'. 'unblocked' has the bytes of
    the temporary arrays if all queries attend at once.
  """
  program = contenders.program(module, num_frames)

  def compile_call():
    # A new function object, because JAX would reuse the trace of the old one.
    run = jax.jit(functools.partial(program.function))
    return run.lower(program.params, *program.inputs).compile()

  with mock.patch.object(xla, 'MAX_SCORES', 2**62):
    unblocked = compile_call()
  memory = compile_call().memory_analysis()
  return {
      'frames': num_frames,
      'flops': unblocked.cost_analysis()['flops'],
      'arguments': memory.argument_size_in_bytes,
      'temporary': memory.temp_size_in_bytes,
      'outputs': memory.output_size_in_bytes,
      'unblocked': unblocked.memory_analysis().temp_size_in_bytes,
  }


def count_on_tpu(
    module: Any, num_frames: int, topology: topologies.Topology
) -> dict[str, Any]:
  """Compiles a call for one TPU, which the machine need not have.

  Args:
    module: the encoder.
    num_frames: number of frames of the call.
    topology: the TPU.

  Returns:
    Number of 'frames'; bytes of the 'arguments', of the 'temporary' arrays and
    of the 'outputs'; 'hbm_bytes', which the call moves to and from memory; the
    'seconds' that the call is estimated to take; and 'kernel_source', which
    says where the part of Pallas kernels in the estimate comes from.
  """
  mesh = jax.sharding.Mesh(topologies.devices(topology), ('data',))
  whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  program = contenders.program(module, num_frames)
  arguments = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole),
      (program.params, *program.inputs),
  )
  # Attention asks the mesh which device it is compiled for.
  with jax.set_mesh(mesh):
    lowered = jax.jit(program.function).lower(*arguments)
  compiled = lowered.compile()
  memory = compiled.memory_analysis()
  sizes = memory.argument_size_in_bytes, memory.temp_size_in_bytes
  cost = planning.read(
      compiler.Compiled(compiled.as_text(), *sizes, 0, 0), topology
  )
  return {
      'frames': num_frames,
      'arguments': sizes[0],
      'temporary': sizes[1],
      'outputs': memory.output_size_in_bytes,
      'hbm_bytes': cost.hbm_bytes,
      'seconds': cost.outside_seconds + cost.kernel_seconds,
      'kernel_source': cost.kernel_source,
  }


def count(name: str, topology: topologies.Topology | None):
  """Counts the calls of an encoder and writes the results to its file.

  Args:
    name: name of the encoder.
    topology: a TPU; None for this machine's CPU.
  """
  family, size = contenders.find(name)
  # Products have the dtype that is usual on the device.
  module = family.make(size, 'bfloat16' if topology else 'float32')
  calls = []
  if topology:
    # One call for each encoder: longer ones take too long to compile.
    num_frames = contenders.WINDOW if family.kind == 'clip' else 1
    calls.append(count_on_tpu(module, num_frames, topology))
  else:
    for num_frames in list_calls(family.kind, module):
      calls.append(count_on_host(module, num_frames))
      print(f'{name}: {calls[-1]}', flush=True)
  params = contenders.program(module, calls[0]['frames']).params
  write(
      path(name, topology),
      {
          'name': name,
          'pixels': contenders.side(module),
          'dtype': jax.numpy.dtype(module.dtype).name,
          'parameters': rows.count_params(params),
          'calls': calls,
          **describe(topology),
      },
  )


def describe(topology: topologies.Topology | None) -> dict[str, Any]:
  """Returns today's date and the versions of the libraries behind a result."""
  versions = {'jax': jax.__version__, 'jaxlib': jax.lib.__version__}
  if topology:
    versions |= topologies.versions(topology)
  return {'date': f'{datetime.date.today()}', 'versions': versions}


def path(name: str, topology: topologies.Topology | None) -> pathlib.Path:
  """Returns the file with the results of an encoder."""
  return (
      video_cost.RESULTS
      / f'{name}{f".{topology.chip.name}" if topology else ""}.json'
  )


def write(file: pathlib.Path, result: dict[str, Any]):
  """Writes a result and says where."""
  video_cost.RESULTS.mkdir(exist_ok=True)
  file.write_text(json.dumps(result, indent=1) + '\n')
  print(f'Wrote {file}', flush=True)


def measure_latency(repeats: int):
  """Times the smallest encoders on one core and writes the results to a file.

  The encoders take turns. The result of each is its least CPU time, which
  depends less on other work of the machine than wall time does.

  Args:
    repeats: how often each encoder is timed, after a call that compiles it.
  """
  # On one core no thread waits for another, which could count as CPU time.
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  calls = {}
  for name, num_frames in TIMED:
    if name not in contenders.NAMES:
      continue
    family, size = contenders.find(name)
    program = contenders.program(family.make(size, 'float32'), num_frames)
    calls[name, num_frames] = functools.partial(
        jax.jit(program.function),
        rows.random_like(program.params),
        *(np.zeros(x.shape, x.dtype) for x in program.inputs),
    )
  times = dict.fromkeys(calls, math.inf)
  for turn in range(repeats + 1):
    for key, call in calls.items():
      start = time.process_time()
      jax.block_until_ready(call())
      if turn:
        times[key] = min(times[key], time.process_time() - start)
  write(
      video_cost.RESULTS / 'latency.json',
      {
          'machine': platform.machine(),
          'num_cores': os.cpu_count(),
          'load': os.getloadavg()[0],
          'calls': [
              {'name': name, 'frames': num_frames, 'seconds': seconds}
              for (name, num_frames), seconds in times.items()
          ],
          **describe(None),
      },
  )


def main():
  """Counts, times or makes the page, as the command line says."""
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument(
      'names', nargs='*', metavar='ENCODER', help='such as rvm.L or dinov2.B'
  )
  parser.add_argument('--topology', help='a TPU to compile for: v6e:1x1')
  parser.add_argument(
      '--latency', action='store_true', help='time encoders on this CPU'
  )
  parser.add_argument(
      '--repeats', type=int, default=3, help='timed calls of --latency'
  )
  parser.add_argument(
      '--page', action='store_true', help='make docs/cost.md and docs/cost.png'
  )
  options = parser.parse_args()
  if unknown := sorted(set(options.names) - set(contenders.NAMES)):
    parser.error(
        f'unknown encoders {unknown}; known are {", ".join(contenders.NAMES)}'
    )
  if options.page:
    # Counting does not need matplotlib.
    import cost_page
    import cost_plot

    cost_page.write()
    cost_plot.draw()
    return
  # Nothing here needs an accelerator.
  jax.config.update('jax_platforms', 'cpu')
  if options.latency:
    measure_latency(options.repeats)
    return
  topology = options.topology and topologies.find(options.topology)
  missing = [x for x in contenders.NAMES if not path(x, topology).exists()]
  for name in options.names or missing:
    count(name, topology)


if __name__ == '__main__':
  main()
