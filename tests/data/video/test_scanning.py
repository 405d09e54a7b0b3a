"""Scanning in several processes gives what scanning in one gives."""

import os

from rvm_jax.data.video import index
from rvm_jax.data.video import reader
from rvm_jax.data.video import scanning


def scan_or_crash(path):
  if 'crash' in path:
    os._exit(11)
  return reader.scan(path) if 'text' not in path else 'not a video'


def test_processes_agree_with_one_and_survive_a_file_that_crashes_them(
    tmp_path, make_video, monkeypatch
):
  paths = [make_video(tmp_path / f'{name}.mp4', 5) for name in 'abcde']
  good, _ = index.build(paths)
  (tmp_path / 'crash.mp4').write_text('crashes the decoder')
  paths.insert(1, str(tmp_path / 'crash.mp4'))
  paths.insert(4, str(tmp_path / 'text.mp4'))
  (tmp_path / 'text.mp4').write_text('no video')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'another'))
  monkeypatch.setattr(scanning, '_scan', scan_or_crash)
  parallel, bad = index.build(paths, num_processes=2)
  assert {path: summary[1:] for path, summary in parallel.items()} == {
      path: summary[1:] for path, summary in good.items()
  }
  assert bad[paths[1]] == 'the decoder crashes'
  assert bad[paths[4]] == 'not a video'
