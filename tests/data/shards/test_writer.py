"""The files of a shard appear together when they are complete."""

import json
import os

import pytest

from rvm_jax.data.shards import layout
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import writer as writer_lib
from rvm_jax.data.video import listing
from tests.data.shards import clips

pytest.importorskip('tensorflow_datasets')
SETTINGS = plan.Settings('jpeg', 90, 288, 8, 4, cuts=False)
VIDEO = plan.Video('a.mp4', listing.Clip('/videos/a.mp4', label='"run", fast'))


@pytest.fixture
def paths(tmp_path):
  return layout.list_paths(str(tmp_path), 3, 16)


def write(paths):
  """Writes a shard with one clip, and returns its summary."""
  writer = writer_lib.Writer(paths, SETTINGS)
  writer.add(VIDEO, 8, 25.0, clips.moving_frames(4), is_sampled=True)
  writer.leave_out('b\n.mp4', 'a, b')
  summary = writer.finish()
  writer.clean_up()
  return summary


def test_files_appear_when_they_are_complete(tmp_path, paths):
  writer = writer_lib.Writer(paths, SETTINGS)
  writer.add(VIDEO, 0, 25.0, clips.moving_frames(4), is_sampled=False)
  assert not any(map(os.path.exists, paths[1:]))
  assert layout.read_summary(paths, is_verified=True) is None
  writer.clean_up()
  assert not list(tmp_path.glob('[!.]*'))
  summary = write(paths)
  assert sorted(map(str, tmp_path.glob('[!.]*'))) == sorted(paths[1:])
  assert layout.read_summary(paths, is_verified=True) == summary


def test_equal_clips_give_equal_files(tmp_path, paths):
  (tmp_path / 'again').mkdir()
  again = layout.list_paths(str(tmp_path / 'again'), 3, 16)
  assert write(paths) == write(again)


def test_summary_is_json_with_hashes_and_counts(paths):
  write(paths)
  with open(paths.summary) as file:
    summary = json.load(file)
  assert set(summary['files']) == {
      os.path.basename(path) for path in paths.contents()
  }
  assert summary['num_clips'] == 1 and summary['seconds'] == 4 / 25
  assert summary['sizes'] == {'64x48': 1}
