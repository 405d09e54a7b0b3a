"""Small data sets in the layouts of the real ones, written for each test."""

import pytest

from tests.evals import tiny_sets
from tests.evals import tiny_videos


@pytest.fixture
def davis(tmp_path):
  """Returns the folder of a small DAVIS, and the masks of its videos."""
  return tmp_path / 'DAVIS', tiny_sets.write_davis(tmp_path / 'DAVIS')


@pytest.fixture
def vip(tmp_path):
  """Returns the folder of a small VIP, and the masks of its videos."""
  return tmp_path / 'VIP', tiny_sets.write_vip(tmp_path / 'VIP')


@pytest.fixture
def jhmdb(tmp_path):
  """Returns the folder of a small JHMDB, and the poses of its videos."""
  return tmp_path / 'jhmdb', tiny_sets.write_jhmdb(tmp_path / 'jhmdb')


@pytest.fixture
def video_set(tmp_path, tmp_path_factory, monkeypatch):
  """Returns a function that writes one of `tiny_videos` and returns its folder.

  Its argument is the name of the benchmark.
  """
  cache = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('XDG_CACHE_HOME', str(cache))

  def write(name):
    write_set = {
        'clips': tiny_videos.write_clips,
        'ssv2': tiny_videos.write_ssv2,
        'kinetics': tiny_videos.write_kinetics,
        'perception_test': tiny_videos.write_perception_test,
        'waymo': tiny_videos.write_waymo,
        'scannet': tiny_videos.write_scannet,
    }[name]
    write_set(tmp_path / name)
    return tmp_path / name

  return write
