import os
import subprocess
import sys

import pytest

from rvm_jax.weights import files
from tests.weights import scratch


def test_a_file_and_a_folder_appear_when_they_are_whole(tmp_path):
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


def test_what_goes_wrong_leaves_nothing(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    with files.write_whole(tmp_path / 'a.txt') as part:
      with open(part, 'w') as f:
        f.write('half')
      raise KeyboardInterrupt
  assert not list(tmp_path.iterdir())


def test_nothing_is_replaced(tmp_path):
  (tmp_path / 'a.txt').write_text('kept')
  with pytest.raises(FileExistsError, match='a.txt is there already'):
    with files.write_whole(tmp_path / 'a.txt'):
      raise AssertionError('not reached')
  assert (tmp_path / 'a.txt').read_text() == 'kept'


def test_a_full_disk_and_a_folder_that_is_none_are_named(tmp_path):
  with scratch.full_disk(100):
    with pytest.raises(OSError, match='cannot be written: .*a.txt'):
      with files.write_whole(tmp_path / 'a.txt') as part:
        with open(part, 'w') as f:
          f.write('x' * 1000)
  assert not list(tmp_path.iterdir())
  with pytest.raises(FileNotFoundError, match='cannot be written: .*nowhere'):
    with files.write_whole(tmp_path / 'nowhere' / 'a.txt'):
      raise AssertionError('not reached')


def test_a_killed_writer_leaves_no_file_of_that_name(tmp_path):
  code = f"""
import os, signal
from rvm_jax.weights import files
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
