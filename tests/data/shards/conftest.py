"""Small folders of videos to pack."""

import shutil

import numpy as np
import pytest

from rvm_jax.data.shards import __main__ as command
from tests import video_files
from tests.data.shards import clips


@pytest.fixture(scope='session')
def folder(tmp_path_factory):
  """A folder with videos, pictures, a broken and a short video.

  With --clip_frames=8 and --min_frames=4, a.mp4 has 2 clips, bear has 1 clip
  and 2 frames that are left out, and sub/b.mp4 has 3 clips.
  """
  root = tmp_path_factory.mktemp('videos')
  (root / 'sub').mkdir()
  video_files.write_video(root / 'a.mp4', 16, height=48, width=64)
  video_files.write_video(root / 'sub/b.mp4', 20, rate=30, height=96, width=64)
  video_files.write_folder(root / 'bear', clips.moving_frames(10, 48, 65))
  (root / 'broken.mp4').write_bytes(np.random.default_rng(0).bytes(500))
  video_files.write_video(root / 'short.mp4', 3)
  return root


@pytest.fixture(scope='session')
def packed_once(folder, tmp_path_factory):
  """A packed set of `folder`: a.mp4, bear and sub/b.mp4 have one clip each."""
  packed = tmp_path_factory.mktemp('sets') / 'packed'
  arguments = [str(folder), f'--out={packed}', '--num_shards=2', '--workers=1']
  arguments += ['--clip_frames=16', '--min_frames=10', '--quality=95']
  assert command.main(arguments) == 0
  return packed


@pytest.fixture
def packed(packed_once, tmp_path):
  """A copy of the packed set, which a test may change."""
  return shutil.copytree(packed_once, tmp_path / 'packed')
