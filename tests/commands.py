"""The command `rvm_jax.main` in processes of its own."""

import pathlib
import sys
import threading

ROOT = pathlib.Path(__file__).parents[1]
# Most of the time of such a run goes into compiling: without optimisation it
# takes a fifth.
XLA_FLAGS = (
    '--xla_backend_optimization_level=0'
    ' --xla_llvm_disable_expensive_passes=true'
    ' --xla_cpu_use_fusion_emitters=false'
    ' --xla_force_host_platform_device_count='
)


def command(workdir, *overrides):
  return [
      sys.executable,
      '-m',
      'rvm_jax.main',
      f'--config={ROOT}/tests/tiny.py',
      f'--workdir={workdir}',
      *overrides,
  ]


def wait_for(process, text):
  """Reads the output up to the first line with `text`."""
  output = ''
  too_late = threading.Timer(200, process.kill)
  too_late.start()
  for line in process.stdout:
    output += line
    if text in line:
      too_late.cancel()
      return
  raise AssertionError(f'no {text!r} in the output:\n{output}')
