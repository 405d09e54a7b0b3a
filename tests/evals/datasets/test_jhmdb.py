"""Tests which videos and poses of JHMDB are read, and errors in files."""

import numpy as np
import pytest
from scipy import io

from rvm_jax.evals.datasets import jhmdb as jhmdb_lib
from tests.evals import tiny_sets


def test_read_lists_the_test_videos_of_split_one(jhmdb):
  root, poses = jhmdb
  videos, lists = jhmdb_lib.read(str(root))
  assert [video.name for video in videos] == list(poses)
  assert len(lists) == 2
  for video in videos:
    np.testing.assert_array_equal(video.poses, poses[video.name])
    frames = video.read()
    assert frames.dtype == np.uint8 and frames.shape == (6, 48, 64, 3)
    for frame, pose in zip(frames, video.poses.astype(int)):
      np.testing.assert_array_equal(
          frame[pose[:, 1] + 4, pose[:, 0] + 4], tiny_sets.COLORS[1:16]
      )


def test_read_names_missing_and_broken_files(jhmdb):
  root, _ = jhmdb

  def read():
    jhmdb_lib.read(str(root))

  frames = root / 'Rename_Images/jump/third'
  pose = root / 'joint_positions/jump/third/joint_positions.mat'
  (frames / '00006.png').unlink()
  with pytest.raises(ValueError, match=f'{frames} has 5 frames, .* 6 poses'):
    read()
  io.savemat(pose, {'pos_img': np.zeros((2, 14, 5))})
  with pytest.raises(ValueError, match=r'\(2, 15, T\), got \(2, 14, 5\)'):
    read()
  pose.write_bytes(pose.read_bytes()[:100])
  with pytest.raises(ValueError, match=f'{pose} cannot be read'):
    read()
  pose.unlink()
  with pytest.raises(FileNotFoundError, match=f'{pose} is missing. .*https://'):
    read()
  (root / 'splits/jump_test_split1.txt').write_text('third.avi two\n')
  with pytest.raises(ValueError, match="0, 1 or 2, got 'third.avi two'"):
    read()
  for path in (root / 'splits').iterdir():
    path.write_text('third.avi 12\n')
  with pytest.raises(ValueError, match="0, 1 or 2, got 'third.avi 12'"):
    read()
  for path in (root / 'splits').iterdir():
    path.write_text('third.avi 1\n')
  with pytest.raises(ValueError, match='no line ends with 2, the test videos'):
    read()
  for path in (root / 'splits').iterdir():
    path.unlink()
  with pytest.raises(
      FileNotFoundError, match=r'no file matches .*\*split1.txt'
  ):
    read()


def test_files_are_all_frames_and_the_poses(jhmdb):
  root, _ = jhmdb
  videos, _ = jhmdb_lib.read(str(root))
  folders = 'Rename_Images/jump/third', 'joint_positions/jump/third'
  on_disk = [path for folder in folders for path in (root / folder).iterdir()]
  assert sorted(videos[-1].files) == sorted(map(str, on_disk))


def test_joints_have_fifteen_different_names():
  assert len(set(jhmdb_lib.JOINTS)) == 15
