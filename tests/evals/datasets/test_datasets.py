"""Data sets read from their own folders, and what is said of broken ones."""

import numpy as np
from PIL import Image
import pytest
from scipy import io

from rvm_jax.evals.datasets import davis as davis_lib
from rvm_jax.evals.datasets import jhmdb as jhmdb_lib
from rvm_jax.evals.datasets import vip as vip_lib
from tests.evals import tiny_sets

PALETTE = {
    'davis': (davis_lib, 'JPEGImages/480p/goat', 'Annotations/480p/goat'),
    'vip': (vip_lib, 'Images/videos1', 'Annotations/Category_ids/videos1'),
}
palette = pytest.mark.parametrize('name', PALETTE)


@pytest.fixture
def palette_set(name, request):
  """Library, folder of frames, folder of masks, and root of a data set."""
  root, _ = request.getfixturevalue(name)
  library, frames, masks = PALETTE[name]
  return library, root / frames, root / masks, root


@palette
def test_reads_frames_and_the_numbers_of_palette_masks(name, request):
  root, masks = request.getfixturevalue(name)
  videos = PALETTE[name][0].read(str(root))
  assert [video.name for video in videos] == list(masks)
  for video in videos:
    assert video.num_frames == 6 and len(video.files) == 12
    frames, found = video.read()
    assert frames.dtype == np.uint8 and frames.shape == (6, 48, 64, 3)
    np.testing.assert_array_equal(found, masks[video.name])
    expected = tiny_sets.COLORS[found].astype(int)
    assert np.abs(frames - expected).max() <= 4  # JPEG.


@palette
def test_says_which_file_is_missing_and_where_it_is_had(palette_set):
  library, frames, masks, root = palette_set
  (masks / '00002.png').unlink()
  message = f'6 frames and 5 annotations: {masks} lacks the annotations 00002'
  with pytest.raises(FileNotFoundError, match=message):
    library.read(str(root))
  (frames / '00002.jpg').unlink()
  library.read(str(root))
  (frames / '00004.jpg').unlink()
  with pytest.raises(FileNotFoundError, match=f'{frames} lacks the frames 00'):
    library.read(str(root))
  for path in frames.iterdir():
    path.unlink()
  with pytest.raises(FileNotFoundError, match=f'{frames} holds no .jpg files'):
    library.read(str(root))
  frames.rmdir()
  with pytest.raises(FileNotFoundError, match=f'folder {frames} is missing'):
    library.read(str(root))
  with pytest.raises(FileNotFoundError, match=r'val.*txt is missing.*https://'):
    library.read(str(root / 'nowhere'))


@palette
def test_says_which_file_is_broken(palette_set):
  library, frames, masks, root = palette_set
  read = lambda: library.read(str(root))[1].read()
  path = masks / '00003.png'
  good = path.read_bytes()
  path.write_bytes(good[:-40])
  with pytest.raises(ValueError, match=f'{path} cannot be read'):
    read()
  Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path)
  with pytest.raises(ValueError, match=f'{path} must be .* L or P, got RGB'):
    read()
  Image.fromarray(np.zeros((48, 32), np.uint8)).save(path)
  with pytest.raises(ValueError, match=rf'{path} has \(48, 32\) pixels'):
    read()
  path.write_bytes(good)
  for path in frames.iterdir():
    Image.fromarray(np.zeros((48, 32, 3), np.uint8)).save(path)
  with pytest.raises(ValueError, match=r'\(6, 48, 32\).*\(6, 48, 64\)'):
    read()


def test_jhmdb_reads_the_test_videos_of_split_one(jhmdb):
  root, poses = jhmdb
  videos, lists = jhmdb_lib.read(str(root))
  assert [v.name for v in videos] == list(poses)
  assert len(lists) == 2
  for video in videos:
    np.testing.assert_array_equal(video.poses, poses[video.name])
    frames = video.read()
    assert frames.dtype == np.uint8 and frames.shape == (6, 48, 64, 3)
    for frame, pose in zip(frames, video.poses.astype(int)):
      np.testing.assert_array_equal(
          frame[pose[:, 1] + 4, pose[:, 0] + 4], tiny_sets.COLORS[1:16]
      )


def test_jhmdb_says_what_is_missing_or_broken(jhmdb):
  root, _ = jhmdb
  read = lambda: jhmdb_lib.read(str(root))
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
    path.unlink()
  with pytest.raises(FileNotFoundError, match=r'\*split1.txt is missing'):
    read()
