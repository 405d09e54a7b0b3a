"""Measures the memory of a rival that encodes frames of DAVIS on this CPU.

    python benchmarks/forward_memory.py dinov2.S:1 dinov2.B:1 videomae.S:16

Each argument is a rival of `contenders.NAMES`, a colon, and the number of
frames that it encodes in one call. Each call is made in a process of its own,
with random parameters and frames of 480 x 880 pixels. Rows and columns of
pixels that fill no patch are cut off (variant 'released' in docs/baselines.md).

The table has the number of tokens that attend to each other; the memory that
XLA plans for parameters, frames, features and temporary arrays; by how much the
peak of the process's resident memory exceeds what it had with all libraries
imported; and the seconds of compiling and running the call.
"""

import json
import math
import pathlib
import re
import subprocess
import sys
import time

from absl import app
import contenders
import jax
import numpy as np

from rvm_jax import baselines
from rvm_jax.baselines import features

HEIGHT, WIDTH = 480, 880

_CHILD = """
import json, sys
import forward_memory
print(json.dumps(forward_memory.measure(*sys.argv[1:])))
"""


def main(argv: list[str]):
  """Measures the calls that the arguments name, one after the other."""
  print('| encoder | frames | tokens | planned, GB | peak, GB | seconds |')
  print('|---|---|---|---|---|---|')
  for argument in argv[1:]:
    name, num_frames = argument.split(':')
    done = subprocess.run(
        [sys.executable, '-c', _CHILD, name, num_frames],
        cwd=pathlib.Path(__file__).parent,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    tokens, planned, peak, seconds = json.loads(done.stdout)
    print(
        f'| {name} | {num_frames} | {tokens} | {planned / 1e9:.2f} |'
        f' {peak / 1e9:.2f} | {seconds:.0f} |',
        flush=True,
    )


def measure(name: str, num_frames: str) -> tuple[int, int, int, float]:
  """Encodes frames in this process.

  Args:
    name: name of an encoder of `contenders.NAMES`, except for an RVM.
    num_frames: number of frames, as the command line has it.

  Returns:
    Number of tokens that attend to each other, bytes that XLA plans, growth of
    the peak of this process's memory in bytes, and seconds.
  """
  before = _peak()
  family, size = contenders.find(name)
  module = family.make(size, 'float32')
  rng = np.random.default_rng(0)
  params = jax.tree.map(
      lambda x: jax.device_put(
          rng.standard_normal(x.shape, np.float32) / math.sqrt(x.shape[0])
      ),
      baselines.shapes(module),
  )
  shape = (1, int(num_frames), HEIGHT, WIDTH, 3)
  frames = rng.integers(0, 256, shape, np.uint8)
  is_real = np.ones(shape[:2], bool)

  def encode(params, frames, is_real):
    return features.encode(module, params, frames, is_real, 'released')

  start = time.perf_counter()
  compiled = jax.jit(encode).lower(params, frames, is_real).compile()
  found = jax.block_until_ready(compiled(params, frames, is_real))
  seconds = time.perf_counter() - start
  assert np.isfinite(found.patches).all()
  _, time_steps, rows, columns, _ = found.patches.shape
  # Clip models attend over all frames, two of which share a token, and have no
  # prefix tokens. Image models attend within a frame, with CLS and registers.
  times = time_steps // module.tubelet if module.tubelet > 1 else 1
  num_prefix = module.num_prefix if module.tubelet == 1 else 0
  memory = compiled.memory_analysis()
  planned = (
      memory.argument_size_in_bytes
      + memory.temp_size_in_bytes
      + memory.output_size_in_bytes
  )
  tokens = times * rows * columns + num_prefix
  return tokens, planned, _peak() - before, seconds


def _peak() -> int:
  """Returns the most bytes that this process has had in memory so far.

  The peak that getrusage tells would start with the parent's memory.
  """
  with open('/proc/self/status') as file:
    return 1024 * int(re.search(r'VmHWM:\s+(\d+) kB', file.read())[1])


if __name__ == '__main__':
  app.run(main)
