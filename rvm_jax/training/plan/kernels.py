"""Estimates the cycles of Pallas kernels in programs for TPUs.

The text of a compiled program has no estimate for kernels. So each kernel is
compiled once more, alone and in another process, where the compiler is told to
write the machine instructions to files. A TPU executes one bundle of
instructions in a cycle, so that a kernel takes as many cycles as one step of
its grid has bundles, times the number of steps. The estimate leaves out stalls,
and counts a loop inside of the kernel once.
"""

import base64
from collections.abc import Sequence
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import Any

from absl import logging
import jax

from rvm_jax.training.plan import chips
from rvm_jax.training.plan import costs
from rvm_jax.training.plan import topologies

# Files with the bundles of a kernel. Other files of the same folder have the
# bundles of copies, which bring operands into the layout that the kernel takes,
# and of programs that libtpu adds to each program.
_BUNDLES = '*-ffi_call*-final_hlo-static-per-bundle-utilization.txt'
# Longest time that the process which compiles all kernels may take.
_MAX_SECONDS = 600


def estimate(
    found: Sequence[costs.Cost], topology: topologies.Topology
) -> list[int | None]:
  """Returns the cycles of one run of each kernel.

  Args:
    found: costs of kernels, as returned by `costs.find_kernels`.
    topology: the TPUs.

  Returns:
    For each kernel its cycles; None if they could not be estimated.
  """
  keys = [_describe(cost) for cost in found]
  different = sorted(set(keys))
  if not different:
    return []
  chip = topology.chip.name
  with tempfile.TemporaryDirectory() as folder:
    options = f'--xla_jf_dump_to={folder} --xla_jf_dump_llo_text=true'
    try:
      done = subprocess.run(
          [sys.executable, '-m', __name__, chip, folder],
          input='\n'.join(different),
          env=os.environ | {'LIBTPU_INIT_ARGS': options},
          capture_output=True,
          text=True,
          timeout=_MAX_SECONDS,
          check=True,
      )
    except (subprocess.SubprocessError, OSError) as error:
      logging.warning(
          'The kernels cannot be compiled alone, so that only a lower bound of'
          ' their time is known: %s',
          error,
      )
      return [None] * len(keys)
  # The process prints one line for each kernel; libtpu may print others before.
  lines = done.stdout.splitlines()[-len(different) :]
  cycles = dict(zip(different, map(json.loads, lines), strict=True))
  return [cycles[key] for key in keys]


def _describe(cost: costs.Cost) -> str:
  """Returns a line of JSON with what is needed to compile a kernel alone.

  Kernels with the same line take the same number of cycles.

  Args:
    cost: cost of the kernel.
  """
  found = re.search(r'"custom_call_config":(\{.*)', cost.instruction.attributes)
  config, _ = (
      json.JSONDecoder().raw_decode(found.group(1)) if found else ({}, 0)
  )
  return json.dumps(
      {
          'config': config,
          'operands': [(x.jax_dtype, x.shape) for x in cost.operands],
          'results': [(x.jax_dtype, x.shape) for x in cost.instruction.result],
      }
  )


def count_bundles(folder: str | os.PathLike[str]) -> int:
  """Returns the number of bundles of the kernel that was compiled last.

  Args:
    folder: folder that libtpu has written to. Its files have a head, and then
      one line for each bundle.
  """
  total = 0
  for path in pathlib.Path(folder).glob(_BUNDLES):
    _, lines = path.read_text().split('== UTILIZATION:\n')
    total += len(lines.splitlines())
  return total


def count_steps(body: str) -> int:
  """Returns the number of steps in the grid of a kernel.

  Args:
    body: the kernel as its custom call has it, an MLIR module in base64.

  Raises:
    ValueError: the grid depends on data.
  """
  # Kernels are written in an MLIR dialect that only private modules of JAX can
  # read.
  from jax._src.lib import tpu
  from jaxlib.mlir import ir

  context = ir.Context()
  context.allow_unregistered_dialects = True
  tpu.register_dialect(context)
  with context:
    text = str(ir.Module.parse(base64.b64decode(body)))
  found = re.search(r'iteration_bounds = array<i64(?:: ([-\d, ]+))?>', text)
  sizes = [int(x) for x in (found and found.group(1) or '1').split(',')]
  if min(sizes) < 0:
    raise ValueError(f'the grid {sizes} of the kernel depends on data')
  return math.prod(sizes)


def _compile(kernel: dict[str, Any], device: jax.Device):
  """Compiles a kernel, so that libtpu writes its bundles."""
  sharding = jax.sharding.SingleDeviceSharding(device)
  operands = [
      jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
      for dtype, shape in kernel['operands']
  ]
  results = [
      jax.ShapeDtypeStruct(shape, dtype) for dtype, shape in kernel['results']
  ]
  call = jax.ffi.ffi_call(
      costs.KERNEL,
      results,
      custom_call_api_version=1,
      legacy_backend_config=json.dumps(
          {'custom_call_config': kernel['config']}
      ),
  )
  jax.jit(call).lower(*operands).compile()


def main(chip: str, folder: str):
  """Prints the cycles of each kernel that a line of the input describes.

  Args:
    chip: name of the chip, a key of `chips.CHIPS`.
    folder: folder that libtpu writes to.
  """
  jax.config.update('jax_platforms', 'cpu')
  shape = 'x'.join(map(str, chips.CHIPS[chip].shapes[0]))
  device = topologies.devices(topologies.find(f'{chip}:{shape}'))[0]
  for line in sys.stdin:
    for path in pathlib.Path(folder).iterdir():
      path.unlink()
    kernel = json.loads(line)
    try:
      _compile(kernel, device)
      cycles = count_bundles(folder) * count_steps(kernel['config']['body'])
    except (jax.errors.JaxRuntimeError, ValueError) as error:
      logging.warning('A kernel cannot be compiled alone: %s', error)
      cycles = None
    print(json.dumps(cycles))


if __name__ == '__main__':
  main(*sys.argv[1:])
