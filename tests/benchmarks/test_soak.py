"""Tests that `soak.py` finds broken files, growth and left processes."""

import os
import pathlib
import subprocess

import pytest

from rvm_jax.data.video import index
from rvm_jax.data.video import reader

FOLDER = pathlib.Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture
def soak(monkeypatch):
  """Returns the module `soak`, which waits for one second only."""
  monkeypatch.syspath_prepend(str(FOLDER))
  import soak  # pylint: disable=g-import-not-at-top

  monkeypatch.setattr(soak, 'PATIENCE', 1)
  return soak


def test_every_kind_of_break_makes_a_file_unreadable(soak, tmp_path):
  paths = soak.write_videos(tmp_path / 'videos', 3)
  good, bad = index.build([str(path) for path in paths])
  assert len(good) == 3 and not bad
  for kind, path in enumerate(paths):
    soak.break_file(path, kind)
    with pytest.raises(reader.BrokenVideo):
      reader.read(*index.load(index.database(), good[str(path)].row), [0, 9])


def test_broken_files_are_met_and_the_memory_is_read(soak, tmp_path):
  paths = soak.write_videos(tmp_path / 'videos', 20)
  stream = soak.open_stream(tmp_path / 'videos', num_workers=0)
  for number, path in enumerate(paths[::5]):
    soak.break_file(path, number % 3)
  memory, num_skipped = soak.read_clips(stream, 64)
  assert len(memory) == 4 and min(memory) > 10
  # Three epochs of 20 records, of which 4 are broken; others replace them.
  assert num_skipped >= 12


def test_growth_compares_the_last_with_the_second_quarter(soak):
  assert soak.growth([9, 9, 1, 1, 5, 5, 1, 2]) == pytest.approx(1.5)


def test_running_children_and_zombies_are_found(soak):
  child = subprocess.Popen(['sleep', '60'])
  try:
    assert child.pid in soak.find_lasting(soak.find_processes)
    child.kill()
    # Nobody has asked how it ended: it is a zombie.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert soak.find_processes()[child.pid] == 'Z'
  finally:
    child.kill()
    child.wait()
  assert child.pid not in soak.find_processes()


def test_find_lasting_returns_only_what_every_call_finds(soak, monkeypatch):
  monkeypatch.setattr(soak, 'PATIENCE', 2)
  monkeypatch.setattr(soak.time, 'sleep', lambda seconds: None)
  found = iter(['ab', 'b', 'a'])
  assert not soak.find_lasting(lambda: next(found))
  found = iter(['ab', 'bc', 'bcd'])
  assert soak.find_lasting(lambda: next(found)) == {'b'}
