"""The layout: which package may import which, and what an import loads."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# For each package or top-level module, the others that it may import.
ALLOWED = {
    'ops': set(),
    'storage': set(),
    'rules': set(),
    'config': {'rules'},
    'runtime': {'storage'},
    'data': {'storage'},
    'models': {'ops'},
    'baselines': {'ops', 'storage', 'weights'},
    'viz': {'ops'},
    'viz/__main__': {'baselines', 'data', 'ops', 'streaming', 'viz', 'weights'},
    'weights': {'models', 'ops', 'storage'},
    'streaming': {'models', 'ops', 'weights'},
    'training': {
        'data',
        'models',
        'ops',
        'rules',
        'runtime',
        'storage',
        'weights',
    },
    'training/plan/__main__': {'config', 'runtime', 'storage', 'training'},
    'features': {'baselines', 'data', 'ops', 'storage', 'streaming', 'weights'},
    'export': {'ops', 'storage', 'streaming', 'weights'},
    'evals': {
        'baselines',
        'config',
        'data',
        'features',
        'models',
        'ops',
        'runtime',
        'storage',
        'streaming',
        'training',
        'viz',
        'weights',
    },
    # Of evals, the propagation of labels.
    'live': {'baselines', 'data', 'evals', 'features', 'streaming', 'viz'},
    'main': {'config', 'evals', 'runtime', 'training'},
}
FILES = sorted((ROOT / 'rvm_jax').rglob('*.py'))


def owner(path):
  """Returns the key of `ALLOWED` that a file belongs to.

  It is 'training' for rvm_jax/training/loop.py, 'main' for rvm_jax/main.py.
  """
  path = path.relative_to(ROOT / 'rvm_jax').with_suffix('')
  return str(path) if str(path) in ALLOWED else path.parts[0]


def imported_parts(source):
  """Yields the parts of rvm_jax that a source imports, on any line."""
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert not node.level, 'relative import'
      names = [f'{node.module}.{alias.name}' for alias in node.names]
    else:
      continue
    for name in names:
      root, *rest = name.split('.')
      assert root not in ('configs', 'tests', 'benchmarks'), name
      if root == 'rvm_jax':
        yield rest[0] if rest else ''


def not_allowed(part, source):
  return set(imported_parts(source)) - ALLOWED[part] - {part}


@pytest.mark.parametrize(
    'path', FILES, ids=[str(p.relative_to(ROOT)) for p in FILES]
)
def test_file_imports_only_what_the_layout_allows(path):
  if path.parent.name == 'rvm_jax' and path.name == '__init__.py':
    assert set(imported_parts(path.read_text())) == {'streaming'}
  else:
    assert not not_allowed(owner(path), path.read_text())


@pytest.mark.parametrize(
    'part, line',
    [
        ('models', 'from rvm_jax.training import step'),
        ('training', 'import rvm_jax.evals.encoders as f'),
        ('data', 'def f():\n  from rvm_jax import ops'),
        ('evals', 'from rvm_jax import main'),
        ('viz', 'import rvm_jax'),
    ],
)
def test_forbidden_imports_are_found(part, line):
  assert not_allowed(part, line)


def loaded_by(statement):
  """Runs a statement in a fresh process.

  Returns:
    The top-level names of all modules loaded by it; and as one text, the number
    of threads and whether JAX has looked for devices.
  """
  code = f"""
import sys
{statement}
print(*sorted({{name.split('.')[0] for name in sys.modules}}))
import threading
from jax._src import xla_bridge
print(threading.active_count(), xla_bridge.backends_are_initialized())
"""
  done = subprocess.run(
      [sys.executable, '-c', code],
      cwd=ROOT,
      env=os.environ | {'JAX_PLATFORMS': 'cpu'},
      capture_output=True,
      text=True,
      check=True,
  )
  names, effects = done.stdout.splitlines()
  return set(names.split()), effects


def test_models_and_weights_need_no_data_libraries():
  names, effects = loaded_by('from rvm_jax import weights')
  assert 'flax' in names
  assert not names & {'av', 'grain', 'mujoco', 'tensorflow'}
  assert effects == '1 False', 'threads, and whether devices were touched'


def test_main_starts_without_tensorflow_and_touches_no_device():
  names, effects = loaded_by('from rvm_jax import main')
  assert 'grain' in names and 'tensorboardX' in names
  # tensorboardX imports torch wherever that is installed.
  assert 'tensorflow' not in names
  assert effects.endswith('False'), 'devices were touched'
