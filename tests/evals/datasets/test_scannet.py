"""Tests depth maps of ScanNet in fixed and random cuts, and broken scans."""

import dataclasses
import pickle

import numpy as np
from PIL import Image
import pytest

from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import scannet
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(
    4, 12.0, 32, 32, False, num_clips=2, crop_area=(0.5, 1.0), flip=0.5
)


@pytest.fixture
def root(video_set):
  return video_set('scannet')


def read(root, sampling=SAMPLING):
  return scannet.read(str(root), 'val', sampling)


def test_depth_belongs_to_the_pixels_of_its_frames(root):
  clips, notes = read(root)
  assert [clip.name for clip in clips] == ['scene0011_01@0', 'scene0011_01@15']
  assert not notes
  clip = pickle.loads(pickle.dumps(clips[1]))
  assert len(clip.files) == 1 + 2 * 4
  for seed in (None, 0, 1, 2, 3):
    rng = None if seed is None else np.random.default_rng(seed)
    example = clip.read(rng)
    assert {k: (v.shape, v.dtype.name) for k, v in example.items()} == {
        'frames': ((4, 32, 32, 3), 'uint8'),
        'depth': ((4, 32, 32), 'float32'),
    }
    found = tiny_videos.locate(example['frames'])
    depth = example['depth']
    known = depth > 0
    # The depth of the first two rows of the frames is unknown. Elsewhere it is
    # 1 m, plus 1 cm times x, plus 10 cm times the number of the frame. A pixel
    # of the map is two pixels of the frames wide, so that x is rounded.
    assert known[found[..., 1] > 3].all() and not known[found[..., 1] < 1].any()
    number = found[:, 16:17, 16:17, 2].round()
    off = depth - 1 - found[..., 0] / 100 - number / 10
    assert np.abs(off)[known].max() < 0.025
    if seed is None:
      np.testing.assert_allclose(
          found[:, 16, 16, 2], [15, 18, 20, 23], atol=0.5
      )


def test_broken_scans_are_named(root):
  folder = root / 'scans/scene0011_01'
  with pytest.raises(ValueError, match='num_crops=3 must be 1'):
    read(root, dataclasses.replace(SAMPLING, num_crops=3))

  clip = read(root)[0][0]
  path = folder / 'depth/3.png'
  good = path.read_bytes()
  path.write_bytes(good[:-30])
  with pytest.raises(ValueError, match='3.png cannot be read as a picture'):
    clip.read()
  Image.fromarray(np.zeros((24, 32), np.uint8)).save(path)
  with pytest.raises(ValueError, match='3.png must be .* 16 bits, got mode L'):
    clip.read()
  Image.fromarray(np.zeros((24, 30), np.uint16)).save(path)
  with pytest.raises(ValueError, match=r'3.png has \(24, 30\) pixels, and .*0'):
    clip.read()
  path.unlink()
  with pytest.raises(FileNotFoundError, match='24 frames and 23 annotat.*3'):
    read(root)
  (folder / 'color/3.jpg').unlink()
  with pytest.raises(ValueError, match='23 frames, .* to 22.jpg; 3.jpg is mis'):
    read(root)
  for number in range(3, 24):
    (folder / f'depth/{number}.png').unlink(missing_ok=True)
    (folder / f'color/{number}.jpg').unlink(missing_ok=True)
  with pytest.raises(ValueError, match='no scan .*: 3 frames are too few'):
    read(root)
  (root / 'scannetv2_val.txt').write_text('scene9999_00\n')
  with pytest.raises(FileNotFoundError, match='scene9999_00/color is missing'):
    read(root)
  (root / 'scannetv2_val.txt').unlink()
  with pytest.raises(FileNotFoundError, match='scannetv2_val.txt is missing'):
    read(root)
