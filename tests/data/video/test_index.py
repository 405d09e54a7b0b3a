"""The index holds what scans find, and is built once, even if interrupted."""

import dataclasses
import os
import sqlite3

import numpy as np
import pytest

from rvm_jax.data.video import index
from rvm_jax.data.video import reader
from tests import video_files


@pytest.fixture
def scanned(monkeypatch):
  """A list that collects the names of the files that the test scans."""
  names = []
  true_scan = reader.scan

  def counting(path):
    names.append(os.path.basename(path))
    return true_scan(path)

  monkeypatch.setattr(reader, 'scan', counting)
  return names


def test_rows_hold_what_scan_found(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 50, options={'g': '12', 'bf': '3'})
  good, bad = index.build([path])
  assert not bad
  loaded_path, contents = index.load(index.database(), good[path].row)
  assert loaded_path == path
  assert index.path_of(index.database(), good[path].row) == path
  scanned = reader.scan(path)
  for field in dataclasses.fields(reader.Contents):
    a, b = getattr(contents, field.name), getattr(scanned, field.name)
    assert np.array_equal(a, b) and type(a) is type(b), field.name
  assert good[path].num_frames == 50
  assert np.array_equal(
      reader.read(path, contents, [3, 40]), reader.read(path, scanned, [3, 40])
  )


def test_files_are_scanned_once_until_they_change(
    tmp_path, make_video, scanned
):
  paths = [make_video(tmp_path / f'{name}.mp4', 10) for name in 'ab']
  (tmp_path / 'text.mp4').write_text('no video')
  paths.append(str(tmp_path / 'text.mp4'))
  index.build(paths + paths)
  assert sorted(scanned) == ['a.mp4', 'b.mp4', 'text.mp4']
  scanned.clear()
  good, bad = index.build(paths)
  assert scanned == ['text.mp4']
  assert list(good) == paths[:2] and list(bad) == paths[2:]
  row = good[paths[0]].row
  make_video(tmp_path / 'a.mp4', 20)
  with pytest.raises(reader.BrokenVideo, match='has changed'):
    index.load(index.database(), row)
  good, _ = index.build(paths)
  assert good[paths[0]].num_frames == 20
  os.remove(paths[0])
  with pytest.raises(reader.BrokenVideo, match='No such file'):
    index.load(index.database(), good[paths[0]].row)


def test_folder_of_pictures_is_scanned_again_until_it_is_good(
    tmp_path, scanned
):
  frames = [video_files.picture(number, 24, 32) for number in range(4)]
  folder = video_files.write_folder(tmp_path / 'bear', frames)
  picture = tmp_path / 'bear' / '00002.png'
  whole = picture.read_bytes()
  picture.write_bytes(whole[:-40])
  good, bad = index.build([folder])
  assert not good and bad[folder].startswith('00002.png: ')
  # Mended in place, which does not change the folder's time.
  picture.write_bytes(whole)
  good, bad = index.build([folder])
  assert good[folder][1:] == (4, 25.0, 24, 32, '') and not bad
  assert scanned == ['bear', 'bear']
  assert index.build([folder])[0] == good and len(scanned) == 2
  path, contents = index.load(index.database(), good[folder].row)
  assert np.array_equal(
      reader.read(path, contents, [3, 0]), np.stack(frames)[[3, 0]]
  )
  (tmp_path / 'bear' / '00003.png').unlink()
  with pytest.raises(reader.BrokenVideo, match='bear: has changed'):
    index.load(index.database(), good[folder].row)
  assert index.build([folder])[0][folder].num_frames == 3


def test_interrupted_build_keeps_the_files_scanned_so_far(
    tmp_path, make_video, monkeypatch, scanned
):
  paths = [make_video(tmp_path / f'{name}.mp4', 5) for name in 'abc']
  counting = reader.scan

  def interrupted(path):
    if path == paths[2]:
      raise KeyboardInterrupt
    return counting(path)

  monkeypatch.setattr(reader, 'scan', interrupted)
  with pytest.raises(KeyboardInterrupt):
    index.build(paths)
  monkeypatch.setattr(reader, 'scan', counting)
  scanned.clear()
  good, _ = index.build(paths)
  assert scanned == ['c.mp4'] and len(good) == 3


def test_two_builds_at_once_give_the_same_row(
    tmp_path, make_video, monkeypatch
):
  path = make_video(tmp_path / 'a.mp4', 10)
  true_scan = reader.scan
  others = []

  def scan_while_another_does(path):
    monkeypatch.setattr(reader, 'scan', true_scan)
    others.append(index.build([path])[0][path])
    return true_scan(path)

  monkeypatch.setattr(reader, 'scan', scan_while_another_does)
  good, _ = index.build([path])
  assert [good[path]] == others
  assert index.load(index.database(), others[0].row)[0] == path


def test_bad_files_come_with_their_reasons(tmp_path):
  (tmp_path / 'empty.mp4').touch()
  (tmp_path / 'text.mp4').write_text('no video')
  paths = [str(tmp_path / f'{name}.mp4') for name in ('empty', 'text', 'gone')]
  good, bad = index.build(paths)
  assert not good
  assert bad[paths[0]] == 'the file is empty'
  assert 'Invalid data' in bad[paths[1]]
  assert 'No such file' in bad[paths[2]]


def test_a_build_asks_the_database_once_for_many_files(
    tmp_path, make_video, monkeypatch
):
  paths = [make_video(tmp_path / f'{number}.mp4', 5) for number in range(3)]
  index.build(paths)
  statements = []
  true_open = sqlite3.connect

  def connect(*args, **kwargs):
    connection = true_open(*args, **kwargs)
    connection.set_trace_callback(statements.append)
    return connection

  monkeypatch.setattr(sqlite3, 'connect', connect)
  good, _ = index.build(paths[::-1])
  assert list(good) == paths[::-1]
  assert sum('SELECT' in statement for statement in statements) == 1
  # More files are looked up in several parts.
  monkeypatch.setattr(index, '_NUM_TOGETHER', 2)
  assert index.build(paths[::-1]) == (good, {})


def test_others_can_write_while_a_build_scans(
    tmp_path, make_video, monkeypatch
):
  known, new = [make_video(tmp_path / f'{name}.mp4', 5) for name in 'ab']
  index.build([known])
  true_scan = reader.scan

  def scan_and_write(path):
    with sqlite3.connect(index.database(), timeout=0) as connection:
      connection.execute("UPDATE videos SET note = 'written'")
    return true_scan(path)

  monkeypatch.setattr(reader, 'scan', scan_and_write)
  good, bad = index.build([known, new])
  assert len(good) == 2 and not bad
