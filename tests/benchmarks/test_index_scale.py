"""Tests of the stages of opening a large source, on a small one."""

import os
import pathlib

import pytest

from rvm_jax.data.video import index

FOLDER = pathlib.Path(__file__).parents[2] / 'benchmarks'


def test_stages_find_all_files(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(str(FOLDER))
  import index_scale  # pylint: disable=g-import-not-at-top

  monkeypatch.setattr(index_scale, 'PER_FOLDER', 10)
  index_scale.make_tree(str(tmp_path), 25)
  for stage in ('list', 'open'):
    wall, _, _ = index_scale.measure(stage, str(tmp_path), 0.0)
    assert wall > 0
  index_scale.add_videos(str(tmp_path / 'videos' / 'new'), 2)
  # Only the new files are decoded; the others are empty.
  index_scale.measure('new', str(tmp_path), 0.0)
  paths = [str(path) for path in (tmp_path / 'videos').rglob('*.mp4')]
  assert len(paths) == 27
  assert len(index.build(paths)[0]) == 27
  # The rows are now in another, empty database.
  index_scale.measure('merge', str(tmp_path), 0.0)
  good, bad = index.build(paths)
  assert len(good) == 27 and not bad


def test_latency_makes_requests_slower(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(str(FOLDER))
  import index_scale  # pylint: disable=g-import-not-at-top

  monkeypatch.setattr(os, 'stat', os.stat)
  monkeypatch.setattr(os, 'scandir', os.scandir)
  waited = []
  monkeypatch.setattr(index_scale.time, 'sleep', waited.append)
  index_scale.add_latency(0.5)
  os.stat(tmp_path), os.scandir(tmp_path).close()
  with pytest.raises(FileNotFoundError):
    os.stat(tmp_path / 'gone')
  assert waited == [0.5] * 3
