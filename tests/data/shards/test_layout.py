"""The names of a shard's files, their hashes, and who may write them."""

import json
import os

import pytest

from rvm_jax.data import workers
from rvm_jax.data.shards import layout


@pytest.fixture
def paths(tmp_path):
  return layout.list_paths(str(tmp_path), 3, 16)


def test_names_of_files(paths):
  assert [os.path.basename(path) for path in paths[1:]] == [
      'rvm_clips-train.array_record-00003-of-00016',
      'clips-00003-of-00016.csv',
      'left_out-00003-of-00016.csv',
      'shard-00003-of-00016.json',
  ]


def write(paths):
  """Writes the files of a shard, with any contents, and their summary."""
  summary = {'files': {}}
  for path in paths.contents():
    with open(path, 'w') as file:
      file.write(path)
    summary['files'][os.path.basename(path)] = {
        'size': os.path.getsize(path),
        'sha256': layout.hash_file(path),
    }
  with open(paths.summary, 'w') as file:
    json.dump(summary, file)
  return summary


def test_complete_shard_has_a_summary_that_fits(paths):
  assert layout.read_summary(paths, is_verified=True) is None
  summary = write(paths)
  assert layout.read_summary(paths, is_verified=True) == summary
  os.remove(paths.summary)
  assert layout.read_summary(paths, is_verified=False) is None


@pytest.mark.parametrize('text', ['', '{', '{}', '{"files": {}}'])
def test_shard_whose_summary_cannot_be_read_is_not_complete(paths, text):
  write(paths)
  with open(paths.summary, 'w') as file:
    file.write(text)
  assert layout.read_summary(paths, is_verified=False) is None


@pytest.mark.parametrize('number', [1, 2, 3])
def test_damaged_or_missing_files_are_noticed(paths, number):
  write(paths)
  with open(paths[number], 'r+b') as file:
    content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    file.seek(0)
    file.write(content)
  assert layout.read_summary(paths, is_verified=True) is None
  assert layout.read_summary(paths, is_verified=False)
  os.truncate(paths[number], 5)
  assert layout.read_summary(paths, is_verified=False) is None
  os.remove(paths[number])
  assert layout.read_summary(paths, is_verified=False) is None


def lock(paths):
  """Locks a shard for a moment; returns the error, or '' if there is none."""
  try:
    with layout.lock(paths):
      return ''
  except OSError as error:
    return str(error)


def test_two_processes_do_not_lock_one_shard(tmp_path, paths):
  other = layout.list_paths(str(tmp_path), 4, 16)
  # A lock belongs to a process, so another one has to try.
  with workers.Pool(1) as pool:
    with layout.lock(paths):
      found = list(pool.map(lock, [paths, other]))
    assert 'another process is writing it' in found[0]
    assert paths.records in found[0] and not found[1]
    assert not pool.submit(lock, paths).result()
