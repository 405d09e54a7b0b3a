"""Where compiled programs are kept, so that the next start need not compile.

Programs are kept in `$XDG_CACHE_HOME/rvm_jax/xla` (by default
`~/.cache/rvm_jax/xla`), in one folder for each kind of processor: a program
that was compiled for one processor may crash on another, and machines may share
a home folder. JAX names a program by everything that it depends on, so that all
runs can share the folder. It may be deleted while nothing runs.

The environment variable JAX_COMPILATION_CACHE_DIR names another folder, and
JAX_ENABLE_COMPILATION_CACHE=false keeps no programs.
"""

import hashlib
import os
import pathlib
import platform

import jax

_CPU_INFO = pathlib.Path('/proc/cpuinfo')
# Beginnings of the lines of this file that name the processor's model and its
# instruction sets, on x86 and on ARM.
_CPU_KEYS = ('model name', 'flags', 'CPU implementer', 'CPU part', 'Features')


def use_cache():
  """Makes JAX keep compiled programs in `folder()`.

  If JAX is configured to keep them elsewhere, nothing changes. The function
  must be called before anything is compiled.
  """
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update('jax_compilation_cache_dir', folder())


def folder() -> str:
  """Returns the folder of the programs for the processor of this machine."""
  cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  text = '\n'.join(describe_cpu())
  name = hashlib.sha256(text.encode()).hexdigest()[:8]
  return os.path.join(cache, 'rvm_jax', 'xla', f'{platform.machine()}-{name}')


def describe_cpu() -> list[str]:
  """Returns texts that are equal on processors that run the same programs."""
  try:
    lines = _CPU_INFO.read_text().splitlines()
  except OSError:
    return [platform.processor()]
  # The file repeats these lines for each core. A set has every line once, also
  # where a processor has cores of several kinds.
  return sorted({line for line in lines if line.startswith(_CPU_KEYS)})
