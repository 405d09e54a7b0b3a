"""Tests points of the Perception Test: visibility, random cuts, nestings."""

import dataclasses
import json
import pickle

import numpy as np
import pytest

from rvm_jax.evals.datasets import perception_test
from rvm_jax.evals.datasets import sampling as sampling_lib
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(
    8,
    6.0,
    32,
    32,
    True,
    num_clips=2,
    crop_area=(0.4, 1.0),
    crop_aspect=(0.75, 1.33),
    flip=0.5,
)


@pytest.fixture
def root(video_set):
  return video_set('perception_test')


def read(root, sampling=SAMPLING, **changes):
  return perception_test.read(str(root), 'valid', sampling, 0.0, **changes)


def change(root, function):
  """Applies a function to the annotations of the one video."""
  path = root / 'point_tracking_valid.json'
  annotations = json.loads(path.read_text())
  function(annotations['video_valid'])
  path.write_text(json.dumps(annotations))


def check_points(example):
  """Checks that each visible point lies where the video's pixels say it is.

  Returns:
    The numbers of the points, a set.
  """
  num_frames = len(example['frames'])
  points = set()
  found = tiny_videos.locate(example['frames'])
  for track, visible, is_valid in zip(
      example['tracks'], example['visible'], example['is_valid']
  ):
    assert visible[0] == is_valid and is_valid >= visible.any()
    for t in np.flatnonzero(visible):
      x, y = track[t].astype(int)
      assert 0 <= x < 32 and 0 <= y < 32
      place = found[t, y, x] / (64, 48, 1)
      number = round(found[t, 16, 16, 2])
      shares = [tiny_videos.share(n, number) for n in range(3)]
      off = np.abs(np.array(shares) - place[:2]).sum(1)
      assert off.min() < 0.06
      points.add(int(off.argmin()))
  assert example['visible'].shape[1] == num_frames
  return points


def test_points_are_in_pixels_of_the_frames(root):
  clips, notes = read(root)
  assert [c.name for c in clips] == ['video_valid@0', 'video_valid@9']
  assert not notes and len(clips[0].files) == 2
  example = pickle.loads(pickle.dumps(clips[0])).read()
  assert {k: (v.shape, v.dtype.name) for k, v in example.items()} == {
      'frames': ((8, 32, 32, 3), 'uint8'),
      'tracks': ((3, 8, 2), 'float32'),
      'visible': ((3, 8), 'bool'),
      'is_valid': ((3,), 'bool'),
  }
  check_points(example)
  # The clip has the frames 0, 2, ..., 14. The third point is occluded in frames
  # 9 and 13 alone.
  assert example['visible'].all() and example['is_valid'].all()
  np.testing.assert_allclose(
      example['tracks'][1, 3], 32 * np.array(tiny_videos.share(1, 6)), rtol=1e-5
  )
  # The third point is occluded in frame 9, the first of the second clip, and
  # therefore cannot be tracked there.
  example = clips[1].read()
  np.testing.assert_array_equal(example['is_valid'], [True, True, False])
  assert not example['tracks'][2].any() and not example['visible'][2].any()
  check_points(example)


def test_points_are_occluded_in_frames_that_a_track_does_not_list(root):
  sampling = dataclasses.replace(
      SAMPLING, num_clips=1, frame_rate=12.0, squash=False
  )
  clips, _ = read(root, sampling)  # The clip has frames 8 to 15.
  example = clips[0].read()
  np.testing.assert_array_equal(
      np.argwhere(~example['visible']), [(2, 1), (2, 5)]
  )
  assert not example['tracks'][2, [1, 5]].any()


def test_points_outside_the_crop_are_not_visible(root):
  clips, _ = read(root, dataclasses.replace(SAMPLING, squash=False))
  example = clips[0].read()  # The crop is columns 8 to 56 of 64.
  x = np.array(
      [[tiny_videos.share(n, t)[0] for t in range(0, 16, 2)] for n in range(3)]
  )
  np.testing.assert_array_equal(example['visible'], (x >= 1 / 8) & (x < 7 / 8))
  check_points(example)

  def move_out(video):
    for track in video['point_tracking']:
      y, _ = track['points']
      track['points'] = [y, [0.05] * len(y)]

  change(root, move_out)
  with pytest.raises(ValueError, match='no clip has a point in its first'):
    read(root, dataclasses.replace(SAMPLING, squash=False))


def test_points_of_random_cuts_lie_on_their_pixels(root):
  clips, _ = read(root, num_points=2)
  firsts = set()
  for seed in range(12):
    example = clips[0].read(np.random.default_rng(seed))
    assert example['tracks'].shape == (2, 8, 2)
    assert example['is_valid'].any()
    check_points(example)
    firsts.add(tuple(example['tracks'][0, 0].round(1)))
  assert len(firsts) > 6
  whole = dataclasses.replace(SAMPLING, crop_area=(1.0, 1.0))
  (clip, *_), _ = read(root, whole, num_points=1)
  assert {0, 1, 2} == {
      number
      for seed in range(12)
      for number in check_points(clip.read(np.random.default_rng(seed)))
  }
  # The clip's own cut takes the first points of the annotations.
  np.testing.assert_array_equal(
      clips[0].read()['tracks'], read(root)[0][0].read()['tracks'][:2]
  )


def test_points_are_read_in_both_nestings(root):
  expected = [clip.read()['tracks'] for clip in read(root)[0]]

  def transpose(video):
    for track in video['point_tracking']:
      track['points'] = np.transpose(track['points']).tolist()

  def shorten(video):
    # A track of two points has the same shape in both nestings.
    track = video['point_tracking'][0]
    track['frame_ids'] = [0, 1]
    track['points'] = [[0.1, 0.2], [0.8, 0.9]]

  change(root, transpose)
  for clip, tracks in zip(read(root)[0], expected):
    np.testing.assert_array_equal(clip.read()['tracks'], tracks)
  change(root, shorten)
  tracks = read(root)[0][0].tracks
  np.testing.assert_allclose(tracks.points[0, :2], [[0.2, 0.1], [0.9, 0.8]])
  change(root, transpose)
  change(root, shorten)
  tracks = read(root)[0][0].tracks
  np.testing.assert_allclose(tracks.points[0, :2], [[0.8, 0.1], [0.9, 0.2]])


def test_broken_annotations_and_videos_are_named(root):

  def first(video):
    return video['point_tracking'][0]

  change(root, lambda video: video['metadata'].update(num_frames=25))
  notes = read(root)[1]
  assert len(notes) == 1 and 'has 24 frames, not 25' in notes[0]
  change(root, lambda video: first(video)['frame_ids'].__setitem__(-1, 24))
  with pytest.raises(ValueError, match=r'track 0: .* 0\.\.23, .* got 0 to 24'):
    read(root)
  change(root, lambda video: first(video)['frame_ids'].pop())
  with pytest.raises(ValueError, match=r'23 frame_ids, .* shape \(2, 24\)'):
    read(root)
  change(root, lambda video: first(video).pop('points'))
  with pytest.raises(ValueError, match="video_valid: expected .*'points'"):
    read(root)
  (video,) = root.glob('**/video_valid.mp4')
  tiny_videos.write_video(video, num_frames=10)
  with pytest.raises(ValueError, match='10 frames, needs at least 15'):
    read(root)
  video.unlink()
  with pytest.raises(ValueError, match='video_valid.mp4: No such file.*http'):
    read(root)
  (root / 'point_tracking_valid.json').write_text('[]')
  with pytest.raises(
      ValueError, match=r'must be {video: annotations}, got \[\]'
  ):
    read(root)
  (root / 'point_tracking_valid.json').unlink()
  with pytest.raises(FileNotFoundError, match='no point_tracking_valid.json'):
    read(root)
