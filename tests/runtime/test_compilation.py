"""Compiled programs are kept in a documented place, for this processor."""

import os
import pathlib
import subprocess
import sys

import pytest

from rvm_jax.runtime import compilation

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import jax
from rvm_jax.runtime import compilation
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
compilation.use_cache()
print(jax.jit(lambda x: x + 1)(1))
print(events.count('/jax/compilation_cache/cache_hits'))
"""


def run(**environment):
  """Runs the program; returns the number of programs found, and its errors."""
  limit = {'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'}
  done = subprocess.run(
      [sys.executable, '-c', PROGRAM],
      cwd=ROOT,
      env=os.environ | limit | environment,
      capture_output=True,
      text=True,
  )
  assert done.returncode == 0, done.stderr
  result, found = map(int, done.stdout.split())
  assert result == 2
  return found, done.stderr


def test_programs_are_kept_in_the_cache_folder_and_found_again(tmp_path):
  cache = {'XDG_CACHE_HOME': str(tmp_path)}
  assert run(**cache)[0] == 0
  (folder,) = (tmp_path / 'rvm_jax' / 'xla').iterdir()
  (path,) = folder.glob('jit__lambda*-cache')
  assert run(**cache)[0] > 0
  # A program that is damaged, or was written in part, is compiled again.
  path.write_bytes(path.read_bytes()[:20])
  assert 'Error reading persistent compilation cache' in run(**cache)[1]


def test_place_that_jax_is_told_wins(tmp_path):
  run(
      XDG_CACHE_HOME=str(tmp_path / 'ours'),
      JAX_COMPILATION_CACHE_DIR=str(tmp_path / 'theirs'),
  )
  assert not (tmp_path / 'ours').exists()
  assert list((tmp_path / 'theirs').iterdir())


def test_cache_can_be_switched_off(tmp_path):
  run(XDG_CACHE_HOME=str(tmp_path), JAX_ENABLE_COMPILATION_CACHE='false')
  assert not list(tmp_path.rglob('jit__lambda*'))


@pytest.mark.parametrize(
    'other', ['model name\t: X\nflags\t: sse avx512f\n', 'Features\t: sve\n']
)
def test_folder_depends_on_the_processor(tmp_path, monkeypatch, other):
  info = tmp_path / 'cpuinfo'
  monkeypatch.setattr(compilation, '_CPU_INFO', info)
  without = compilation.folder()
  info.write_text('model name\t: X\nflags\t: sse avx\ncpu MHz\t: 2000\n')
  here = compilation.folder()
  info.write_text('model name\t: X\nflags\t: sse avx\ncpu MHz\t: 2400\n' * 2)
  assert compilation.folder() == here
  info.write_text(other)
  assert len({compilation.folder(), here, without}) == 3


def test_home_is_the_default(monkeypatch):
  monkeypatch.delenv('XDG_CACHE_HOME')
  monkeypatch.setenv('HOME', '/home/someone')
  expected = '/home/someone/.cache/rvm_jax/xla/'
  assert compilation.folder().startswith(expected)
