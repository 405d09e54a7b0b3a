"""Settings of all tests: CPU only, two devices, rank promotion is an error.

Most of the tests' time is compilation, so XLA optimises less here, and in the
processes that tests start too.
"""

import os
import subprocess

from tests import commands

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = (
    f'{os.environ.get("XLA_FLAGS", "")} {commands.XLA_FLAGS}2'
)

from absl import flags
from absl import logging
import jax
import pytest

from tests import video_files

jax.config.update('jax_numpy_rank_promotion', 'raise')


@pytest.fixture(scope='session', autouse=True)
def parsed_flags():
  """Marks absl's flags as parsed, since grain's worker processes read them."""
  flags.FLAGS.mark_as_parsed()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
  """Gives each test an index of videos of its own."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture
def warnings(monkeypatch):
  """Texts of the warnings that the test logs."""
  messages = []
  monkeypatch.setattr(
      logging, 'warning', lambda text, *args: messages.append(text % args)
  )
  return messages


@pytest.fixture
def make_video():
  """Function that writes a small video: see `video_files.write_video`."""
  return video_files.write_video


@pytest.fixture(scope='session')
def environment(tmp_path_factory):
  """Environment with one device; the runs share a cache of programs."""
  cache = tmp_path_factory.mktemp('compiled')
  paths = [f'{commands.ROOT}/tests/without_torch']
  if given := os.environ.get('PYTHONPATH'):
    paths.append(given)
  return os.environ | {
      'PYTHONPATH': os.pathsep.join(paths),
      'JAX_PLATFORMS': 'cpu',
      'XLA_FLAGS': commands.XLA_FLAGS + '1',
      'JAX_COMPILATION_CACHE_DIR': str(cache),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
  }


@pytest.fixture
def start(environment):
  """Returns a function that starts the command; kills it at the end."""
  processes = []

  def start_(workdir, *overrides, **more_environment):
    process = subprocess.Popen(
        commands.command(workdir, *overrides),
        cwd=commands.ROOT,
        env=environment | more_environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    processes.append(process)
    return process

  yield start_
  for process in processes:
    process.kill()


@pytest.fixture
def run(start):
  """Returns a function that runs the command: exit code and output."""

  def run_(workdir, *overrides, **more_environment):
    process = start(workdir, *overrides, **more_environment)
    output, _ = process.communicate(timeout=300)
    return process.returncode, output

  return run_


@pytest.fixture(scope='session')
def whole_run(environment, tmp_path_factory):
  """An uninterrupted run: its workdir and output."""
  workdir = tmp_path_factory.mktemp('whole')
  done = subprocess.run(
      commands.command(workdir),
      cwd=commands.ROOT,
      env=environment,
      capture_output=True,
      text=True,
      timeout=300,
  )
  assert done.returncode == 0, done.stderr
  return workdir, done.stderr
