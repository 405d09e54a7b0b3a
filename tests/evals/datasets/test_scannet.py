"""ScanNet: depth below its pixels, the camera's motion, broken scans."""

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
MOVED = dataclasses.replace(SAMPLING, flip=0.0)


@pytest.fixture
def root(video_set):
  return video_set('scannet')


def read(root, sampling=SAMPLING, **changes):
  return scannet.read(str(root), 'val', sampling, **changes)


def test_depth_lies_below_its_pixels(root):
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
    # The first two rows of the frames have none; 1 cm for every pixel to the
    # right, and a pixel of the map is two of the frames wide.
    assert known[found[..., 1] > 3].all() and not known[found[..., 1] < 1].any()
    number = found[:, 16:17, 16:17, 2].round()
    off = depth - 1 - found[..., 0] / 100 - number / 10
    assert np.abs(off)[known].max() < 0.025
    if seed is None:
      np.testing.assert_allclose(
          found[:, 16, 16, 2], [15, 18, 20, 23], atol=0.5
      )


def test_pose_takes_the_first_camera_to_the_last(root):
  folder = root / 'scans/scene0011_01/pose'
  rng = np.random.default_rng(0)
  world = {}
  for t in (0, 8):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    world[t] = np.eye(4)
    world[t][:3] = np.c_[rotation, rng.normal(size=3)]
    np.savetxt(folder / f'{t}.txt', world[t])
  clips, _ = read(root, MOVED, with_pose=True)
  example = clips[0].read()
  assert example['pose'].shape == (12,) and example['pose'].dtype == np.float32
  point = np.array([0.3, -0.2, 2.0])  # Of the first camera.
  place = world[0][:3, :3] @ point + world[0][:3, 3]
  expected = world[8][:3, :3].T @ (place - world[8][:3, 3])
  found = example['pose'][:9].reshape(3, 3) @ point + example['pose'][9:]
  np.testing.assert_allclose(found, expected, atol=1e-5)
  assert [path.rsplit('/')[-1] for path in clips[0].files[-2:]] == [
      '0.txt', '8.txt',
  ]
  np.savetxt(folder / '8.txt', np.full((4, 4), -np.inf))
  clips, notes = read(root, MOVED, with_pose=True)
  assert [clip.name for clip in clips] == ['scene0011_01@15']
  assert notes == ['scene0011_01@0: the camera is lost; it is left out']
  for seed in range(30):  # Nor is it lost at the end of what is drawn.
    assert np.isfinite(clips[0].read(np.random.default_rng(seed))['pose']).all()
  with pytest.raises(ValueError, match='flip=0.5 must be 0'):
    read(root, with_pose=True)


def test_what_a_person_can_get_wrong(root):
  folder = root / 'scans/scene0011_01'
  pose = folder / 'pose/0.txt'
  pose.write_text('1 0 0\n0 1 0\n')
  with pytest.raises(ValueError, match=r'0.txt must .* 4 x 4, got \(2, 3\)'):
    read(root, MOVED, with_pose=True)
  pose.write_text('1 0 0\n0 1\n')
  with pytest.raises(ValueError, match='0.txt must hold numbers'):
    read(root, MOVED, with_pose=True)
  pose.unlink()
  with pytest.raises(FileNotFoundError, match='0.txt is missing.*http'):
    read(root, MOVED, with_pose=True)
  assert read(root)[0]  # Depth needs no poses.

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
  with pytest.raises(ValueError, match='23 frames, and none of the name 3.jpg'):
    read(root)
  for number in range(3, 24):
    (folder / f'depth/{number}.png').unlink(missing_ok=True)
    (folder / f'color/{number}.jpg').unlink(missing_ok=True)
  with pytest.raises(ValueError, match='no clip .*: 3 frames are too few'):
    read(root)
  (root / 'scannetv2_val.txt').write_text('scene9999_00\n')
  with pytest.raises(FileNotFoundError, match='scene9999_00/color is missing'):
    read(root)
  (root / 'scannetv2_val.txt').unlink()
  with pytest.raises(FileNotFoundError, match='scannetv2_val.txt is missing'):
    read(root)
