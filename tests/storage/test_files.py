"""Files and folders appear whole or not at all, and replace nothing."""

import errno
import os
import subprocess
import sys

import pytest

from rvm_jax.storage import files
from tests.weights import scratch


def test_file_or_folder_appears_when_it_is_whole(tmp_path):
  with files.write_whole(tmp_path / 'a.txt') as part:
    with open(part, 'w') as f:
      f.write('a')
    assert os.path.basename(part) == 'a.txt'
    assert not (tmp_path / 'a.txt').exists()
  with files.write_whole(tmp_path / 'b') as part:
    os.mkdir(part)
    with open(os.path.join(part, 'c.txt'), 'w') as f:
      f.write('c')
  found = [p.relative_to(tmp_path) for p in sorted(tmp_path.rglob('*'))]
  assert list(map(str, found)) == ['a.txt', 'b', 'b/c.txt']
  assert (tmp_path / 'a.txt').read_text() == 'a'


def test_nothing_is_left_after_an_interruption(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    with files.write_whole(tmp_path / 'a.txt') as part:
      with open(part, 'w') as f:
        f.write('half')
      raise KeyboardInterrupt
  assert not list(tmp_path.iterdir())


def test_file_that_exists_is_not_replaced(tmp_path):
  (tmp_path / 'a.txt').write_text('kept')
  with pytest.raises(FileExistsError, match='a.txt is there already'):
    with files.write_whole(tmp_path / 'a.txt'):
      raise AssertionError('not reached')
  assert (tmp_path / 'a.txt').read_text() == 'kept'


@pytest.mark.parametrize('has_links', [True, False])
@pytest.mark.parametrize('arrives', ['file', 'folder', 'link'])
@pytest.mark.parametrize('written', ['file', 'folder'])
def test_what_appeared_meanwhile_is_not_replaced(
    tmp_path, monkeypatch, written, arrives, has_links
):
  if not has_links:
    monkeypatch.setattr(os, 'link', without_links)
  path = tmp_path / 'a'

  def fill(path, kind, text):
    if kind == 'folder':
      os.mkdir(path)
      path = os.path.join(path, 'b.txt')
    if kind == 'link':
      os.symlink('nowhere', path)
    else:
      with open(path, 'w') as f:
        f.write(text)

  with pytest.raises(FileExistsError, match='a is there already'):
    with files.write_whole(path) as part:
      fill(part, written, 'new')
      fill(path, arrives, 'kept')
  assert [p.name for p in tmp_path.iterdir()] == ['a']
  if arrives == 'link':
    assert os.readlink(path) == 'nowhere'
  else:
    found = path / 'b.txt' if arrives == 'folder' else path
    assert found.read_text() == 'kept'


def without_links(source, target):
  raise PermissionError(errno.EPERM, 'Operation not permitted')


def test_files_are_written_on_disks_without_hard_links(tmp_path, monkeypatch):
  monkeypatch.setattr(os, 'link', without_links)
  with files.write_whole(tmp_path / 'a.txt') as part:
    with open(part, 'w') as f:
      f.write('a')
  assert [p.name for p in tmp_path.iterdir()] == ['a.txt']
  assert (tmp_path / 'a.txt').read_text() == 'a'


def test_errors_name_the_path_on_a_full_disk_and_in_a_missing_folder(tmp_path):
  with scratch.full_disk(100):
    with pytest.raises(OSError, match='cannot be written: .*a.txt'):
      with files.write_whole(tmp_path / 'a.txt') as part:
        with open(part, 'w') as f:
          f.write('x' * 1000)
  assert not list(tmp_path.iterdir())
  with pytest.raises(FileNotFoundError, match='cannot be written: .*nowhere'):
    with files.write_whole(tmp_path / 'nowhere' / 'a.txt'):
      raise AssertionError('not reached')


def test_error_within_nested_writes_is_reported_once(tmp_path):
  with scratch.full_disk(100), pytest.raises(OSError) as error:
    with files.write_whole(tmp_path / 'a.txt') as outer:
      with files.write_whole(outer) as part, open(part, 'w') as f:
        f.write('x' * 1000)
  path = str(tmp_path / 'a.txt')
  expected = f'[Errno 27] cannot be written: File too large: {path!r}'
  assert str(error.value) == expected


def test_killed_writer_leaves_no_file_at_the_path_and_the_next_one_warns(
    tmp_path, caplog
):
  code = f"""
import os, signal
from rvm_jax.storage import files
from tests.weights import scratch
with files.write_whole({str(tmp_path / 'a.txt')!r}) as part:
  with open(part, 'w') as f:
    f.write('half')
    f.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
  done = subprocess.run([sys.executable, '-c', code])
  assert done.returncode == -9
  assert not (tmp_path / 'a.txt').exists()
  (left,) = tmp_path.iterdir()
  assert left.name.startswith('.a.txt.') and left.name.endswith('.part')

  with files.write_whole(tmp_path / 'a.txt') as part:
    with open(part, 'w') as f:
      f.write('whole')
  (warning,) = caplog.messages
  assert warning.startswith(f'{left} was left by a process that was killed')
  assert sorted(tmp_path.iterdir()) == [left, tmp_path / 'a.txt']


def test_replace_text_leaves_the_earlier_text_on_a_full_disk(tmp_path):
  path = tmp_path / 'a.txt'
  files.replace_text(path, 'earlier')
  files.replace_text(path, 'déjà')
  assert path.read_text(encoding='utf-8') == 'déjà'
  with scratch.full_disk(100), pytest.raises(OSError):
    files.replace_text(path, 'x' * 1000)
  assert path.read_text(encoding='utf-8') == 'déjà'
  assert list(tmp_path.iterdir()) == [path]


def test_append_whole_adds_to_a_file_that_may_have_gone_meanwhile(tmp_path):
  path = tmp_path / 'log'
  files.append_whole(path, b'one')
  files.append_whole(path, b' two')
  assert path.read_bytes() == b'one two'
  path.unlink()
  files.append_whole(path, b'three')
  assert path.read_bytes() == b'three'


def test_append_whole_to_a_folder_that_is_missing_raises(tmp_path):
  with pytest.raises(FileNotFoundError):
    files.append_whole(tmp_path / 'missing' / 'log', b'one')
