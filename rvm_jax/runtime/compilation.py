"""Where compiled programs are kept, so that the next start need not compile.

They are in `$XDG_CACHE_HOME/rvm_jax/xla` (by default `~/.cache/rvm_jax/xla`),
in a folder for each kind of processor: what is compiled for a processor may
crash on another one, and a home folder may be shared. JAX names a program by
all that it depends on, so that any runs can share the folder. It may be deleted
while nothing runs. Whoever sets JAX_COMPILATION_CACHE_DIR has the programs
there, and JAX_ENABLE_COMPILATION_CACHE=false keeps none.
"""

import hashlib
import os
import pathlib
import platform

import jax

_CPU_INFO = pathlib.Path('/proc/cpuinfo')
# The lines of this file that say for what to compile, on x86 and on ARM.
_CPU_KEYS = ('model name', 'flags', 'CPU implementer', 'CPU part', 'Features')


def use_cache():
  """Makes JAX keep compiled programs, unless it is told to keep them elsewhere.

  It must be called before anything is compiled.
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
  # All cores have the same lines, or are listed all.
  return sorted({line for line in lines if line.startswith(_CPU_KEYS)})
