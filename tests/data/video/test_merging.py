"""Rows of other machines' databases are added; other files are refused."""

import os
import shutil
import sqlite3

import pytest

from rvm_jax.data.video import index
from rvm_jax.data.video import merging
from rvm_jax.data.video import reader


@pytest.fixture
def as_host(tmp_path, monkeypatch):
  """A function that makes this process use the database of a host."""

  def switch(name):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / name))
    return index.database()

  return switch


def test_merged_rows_are_those_of_the_other_machines(
    tmp_path, make_video, as_host, monkeypatch
):
  paths = [make_video(tmp_path / f'{name}.mp4', 20) for name in 'abc']
  databases = []
  for number, host in enumerate(('first', 'second')):
    databases.append(as_host(host))
    index.build(paths[number : number + 2])
  full = as_host('full')
  assert merging.merge(databases) == 3
  # No row is added twice, and none is added from the database to itself.
  assert merging.merge([full, *databases]) == 0

  def fail(path):
    raise AssertionError(f'{path} is scanned')

  scan = reader.scan
  monkeypatch.setattr(reader, 'scan', fail)
  good, bad = index.build(paths)
  assert list(good) == paths and not bad
  _, contents = index.load(full, good[paths[1]].row)
  assert contents.timestamps.tolist() == scan(paths[1]).timestamps.tolist()


def test_merged_row_of_a_file_that_has_changed_is_not_used(
    tmp_path, make_video, as_host
):
  path = make_video(tmp_path / 'a.mp4', 20)
  other = as_host('other')
  index.build([path])
  make_video(tmp_path / 'a.mp4', 30)
  as_host('here')
  assert merging.merge([other]) == 1
  assert index.build([path])[0][path].num_frames == 30


def test_files_that_are_no_index_of_this_version_are_refused(tmp_path, as_host):
  here = as_host('here')
  name = os.path.basename(here)
  wrong = [str(tmp_path / 'gone' / name)]
  for content in ('text', 'empty', 'table'):
    (tmp_path / content).mkdir()
    wrong.append(str(tmp_path / content / name))
  with open(wrong[1], 'w') as file:
    file.write('no database ' * 99)
  sqlite3.connect(wrong[2]).execute('VACUUM')
  with sqlite3.connect(wrong[3]) as connection:
    connection.execute('CREATE TABLE videos (path TEXT)')
  for path in wrong:
    with pytest.raises(ValueError, match=path.replace('.', r'\.')):
      merging.merge([path])
  assert not os.path.exists(wrong[0])
  # Another version of PyAV decodes other frames.
  index.build([])
  old = shutil.copy(here, tmp_path / 'videos-1-av1.0.sqlite3')
  with pytest.raises(ValueError, match=f'expected the path of a file {name}'):
    merging.merge([old])
