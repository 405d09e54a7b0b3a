"""Tests videos with masks in folders: what is read, and the errors."""

import numpy as np
from PIL import Image
import pytest

from rvm_jax.evals.datasets import davis as davis_lib
from rvm_jax.evals.datasets import masked
from rvm_jax.evals.datasets import vip as vip_lib
from tests.evals import tiny_sets

DATA_SETS = {
    'davis': (davis_lib, 'JPEGImages/480p/goat', 'Annotations/480p/goat'),
    'vip': (vip_lib, 'Images/videos1', 'Annotations/Category_ids/videos1'),
}
data_sets = pytest.mark.parametrize('name', DATA_SETS)


@pytest.fixture
def data_set(name, request):
  """Returns a set's module, a video's folders of frames and masks, the root."""
  root, _ = request.getfixturevalue(name)
  module, frames, masks = DATA_SETS[name]
  return module, root / frames, root / masks, root


@data_sets
def test_read_returns_frames_and_the_numbers_in_palette_masks(name, request):
  root, masks = request.getfixturevalue(name)
  videos = DATA_SETS[name][0].read(str(root))
  assert [video.name for video in videos] == list(masks)
  for video in videos:
    assert video.num_frames == 6 and len(video.files) == 12
    frames, found = video.read()
    assert frames.dtype == np.uint8 and frames.shape == (6, 48, 64, 3)
    np.testing.assert_array_equal(found, masks[video.name])
    expected = tiny_sets.COLORS[found].astype(int)
    # JPEG changes colours a little.
    assert np.abs(frames - expected).max() <= 4


@data_sets
def test_list_videos_names_missing_files_and_their_source(data_set):
  module, frames, masks, root = data_set
  (masks / '00002.png').unlink()
  message = f'6 frames and 5 annotations: {masks} lacks the annotations 00002'
  with pytest.raises(FileNotFoundError, match=message):
    module.read(str(root))
  (frames / '00002.jpg').unlink()
  module.read(str(root))
  (frames / '00004.jpg').unlink()
  with pytest.raises(FileNotFoundError, match=f'{frames} lacks the frames 00'):
    module.read(str(root))
  for path in frames.iterdir():
    path.unlink()
  with pytest.raises(FileNotFoundError, match=f'{frames} holds no .jpg files'):
    module.read(str(root))
  frames.rmdir()
  with pytest.raises(FileNotFoundError, match=f'folder {frames} is missing'):
    module.read(str(root))
  with pytest.raises(FileNotFoundError, match=r'val.*txt is missing.*https://'):
    module.read(str(root / 'nowhere'))
  (names,) = root.rglob('*val*.txt')
  names.write_text('\n')
  with pytest.raises(ValueError, match=f'{names} has no lines. .*https://'):
    module.read(str(root))


@data_sets
def test_read_names_broken_files(data_set):
  module, frames, masks, root = data_set

  def read():
    return module.read(str(root))[1].read()

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


def test_read_refuses_frames_and_masks_of_different_number():
  frames = np.zeros((3, 4, 5, 3), np.uint8)
  masks = np.zeros((2, 4, 5), np.uint8)
  video = masked.MaskedVideo('goat', 3, (), lambda: (frames, masks))
  with pytest.raises(ValueError, match=r'goat: .*\(3, 4, 5\).*\(2, 4, 5\)'):
    video.read()
