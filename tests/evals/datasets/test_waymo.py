"""Tests clips of Waymo Open: which boxes and objects count, random cuts."""

import dataclasses
import pickle
import sys

import numpy as np
import pytest

from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import waymo
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(
    8, 5.0, 48, 48, False, num_clips=2, crop_area=(0.5, 1.0), flip=0.5
)


@pytest.fixture
def root(video_set):
  return video_set('waymo')


def read(root, sampling=SAMPLING, **changes):
  options = dict(cameras=(1,), min_area=0.005, min_presence=0.7) | changes
  return waymo.read(str(root), 'validation', sampling, **options)


def true_boxes(number, frames):
  """Returns an object's boxes in the largest square crop, columns 8 to 56."""
  x, y = 64 * 48 * np.array([tiny_videos.share(number, t) for t in frames]).T
  x, y = x / 48, y / 64
  half = 8 + 2 * number
  boxes = np.stack([x - half, y - 6, x + half, y + 6], -1) - [8, 0, 8, 0]
  return boxes.clip(0, 48)


def test_frames_are_in_order_and_boxes_go_by_identity(root):
  clips, notes = read(root, cameras=(2, 1))
  assert [clip.name for clip in clips] == [
      f'segment-1/{camera}@{first}' for camera in (2, 1) for first in (0, 9)
  ]
  assert not notes and len(set(clips[0].files)) == 2
  assert clips[0].video.height == 40 and clips[2].video.height == 48
  example = pickle.loads(pickle.dumps(clips[2])).read()
  assert {k: (v.shape, v.dtype.name) for k, v in example.items()} == {
      'frames': ((8, 48, 48, 3), 'uint8'),
      'boxes': ((2, 8, 4), 'float32'),
  }
  frames = range(0, 16, 2)  # Every other of ten frames a second.
  found = tiny_videos.locate(example['frames'][:, 24, 24])
  np.testing.assert_allclose(found[:, 2], frames, atol=0.5)
  # Objects come in descending order of their area in the first frame.
  expected = [true_boxes(1, frames), true_boxes(0, frames)]
  np.testing.assert_allclose(example['boxes'], expected, rtol=1e-5, atol=1e-4)


def test_only_objects_in_enough_frames_count(root):
  # The second clip has the frames 9, 11, ..., 23. Object 1 has a box in 5 of
  # these 8.
  boxes = read(root)[0][1].read()['boxes']
  assert np.isfinite(boxes[0]).all() and np.isnan(boxes[1]).all()
  boxes = read(root, min_presence=0.6)[0][1].read()['boxes']
  np.testing.assert_allclose(
      boxes[0, :5], true_boxes(1, range(9, 18, 2)), rtol=1e-5, atol=1e-4
  )
  assert np.isnan(boxes[0, 5:]).all() and np.isfinite(boxes[1]).all()


def test_small_boxes_do_not_count(root):
  area = (true_boxes(0, [0])[0, 2:] - true_boxes(0, [0])[0, :2]).prod()
  share = area / 48**2
  assert len(read(root, min_area=0.99 * share)[0][0].read()['boxes']) == 2
  assert len(read(root, min_area=1.01 * share)[0][0].read()['boxes']) == 1
  with pytest.raises(ValueError, match=r'cameras \(1,\) has an object'):
    read(root, min_area=0.9)


def test_random_cuts_hold_as_many_objects_as_asked_for(root):
  (clip, *_), _ = read(root, num_objects=1)
  assert clip.read()['boxes'].shape == (1, 8, 4)
  for seed in range(12):
    example = clip.read(np.random.default_rng(seed))
    assert example['boxes'].shape == (1, 8, 4)
    box = example['boxes'][0, 0]
    assert 0 <= box.min() and box.max() <= 48
    # The middle of the box shows the middle of an object, unless the box is cut
    # off at the edge.
    x, y = (box[:2] + box[2:]).astype(int) // 2
    found = tiny_videos.locate(example['frames'][0, y, x])
    places = [
        np.array(tiny_videos.share(n, round(found[2]))) * (64, 48)
        for n in range(2)
    ]
    off = np.abs(places - found[:2]).max(1)
    if box.min() > 0 and box.max() < 48:
      assert off.min() < 2
  whole = dataclasses.replace(SAMPLING, crop_area=(1.0, 1.0), squash=True)
  (clip, *_), _ = read(root, whole, num_objects=1, min_presence=0)
  sizes = [
      np.ptp(clip.read(np.random.default_rng(seed))['boxes'][0, 0, ::2])
      for seed in range(12)
  ]
  # Widths of 16 and 20 of 64 pixels, resized to 48.
  assert {12, 15} == set(np.round(sizes))
  example = read(root, num_objects=5)[0][0].read(np.random.default_rng(0))
  assert np.isnan(example['boxes'][2:]).all()


def test_broken_splits_are_named(root):
  with pytest.raises(ValueError, match='24 frames are too few for a clip'):
    read(root, dataclasses.replace(SAMPLING, num_frames=16))
  boxes = root / 'validation/camera_box/segment-1.parquet'
  boxes.rename(boxes.with_name('segment-2.parquet'))
  with pytest.raises(FileNotFoundError, match='lacks .* segment-1.*http'):
    read(root)
  with pytest.raises(FileNotFoundError, match='camera_image is missing.*http'):
    read(root / 'nowhere')


def test_missing_pyarrow_is_an_error_that_says_what_to_install(
    root, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'pyarrow', None)
  with pytest.raises(ImportError, match=r"pip install 'rvm_jax\[waymo\]'"):
    read(root)
