"""Settings of all tests: CPU only, two devices, rank promotion is an error.

Most of the tests' time is compilation, so XLA optimises less here, and in the
processes that tests start too.
"""

import os

os.environ['JAX_PLATFORMS'] = 'cpu'
os.environ['XLA_FLAGS'] = ' '.join(
    [
        os.environ.get('XLA_FLAGS', ''),
        '--xla_force_host_platform_device_count=2',
        '--xla_backend_optimization_level=0',
        '--xla_llvm_disable_expensive_passes=true',
    ]
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
