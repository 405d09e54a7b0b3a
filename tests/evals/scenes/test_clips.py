"""Clips of scenes: truths that agree with each other, and no way to cheat."""

import collections

import numpy as np
import pytest

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.evals.scenes import clips as clips_lib

CLIPS = clips_lib.Clips(
    'held_out',
    height=32,
    width=32,
    num_frames=4,
    stride=2,
    path=16,
    num_points=6,
    min_share=0.01,
)


@pytest.fixture(scope='module')
def records():
  return clips_lib.read(CLIPS, range(8))


def test_a_clip_follows_from_its_number(records):
  with clips_lib.workers(1) as map_:
    again = clips_lib.read(CLIPS, range(2), map_)
  assert clips_lib.fingerprint(again) == clips_lib.fingerprint(records[:2])
  assert clips_lib.fingerprint(again) != clips_lib.fingerprint(records[1:3])
  assert [r.name for r in again] == ['held_out_0', 'held_out_1']


def test_splits_and_the_scenes_of_runs_are_apart(records):
  train = clips_lib.read(
      clips_lib.Clips(**(vars(CLIPS) | {'split': 'train'})), range(1)
  )[0].example
  run = source_lib.Scenes(1, 32, 32, 0, 'held_out')
  of_run = source_lib.render(
      run.scene_seed(0), height=32, width=32, num_frames=16, frames=[0]
  )
  first = records[0].example['frames'][0]
  assert (train['frames'][0] != first).any() and (of_run[0] != first).any()


def test_truths_agree(records):
  for record in records:
    e = record.example
    # Points, in the frame that they are asked for in.
    assert e['visible'][:, 0].all()
    # Boxes are around the segments.
    for number, boxes in enumerate(e['boxes'], 1):
      for box, segment in zip(boxes, e['segments']):
        rows, columns = np.nonzero(segment == number)
        if number > e['segments'][0].max():
          assert not rows.size
        if not rows.size:
          assert np.isnan(box).all()
        else:
          assert box.tolist() == [
              columns.min(),
              rows.min(),
              columns.max() + 1,
              rows.max() + 1,
          ]
    area = np.bincount(e['segments'][0].ravel())[1:]
    assert (area >= 0.01 * 32 * 32).all()
    np.testing.assert_array_equal(e['pose'], e['cameras'][-1])
    np.testing.assert_allclose(
        e['cameras'][0], [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], atol=1e-6
    )


def test_pose_and_depth_tell_where_the_background_goes(records):
  off = []
  for record in records:
    e = record.example
    seen = e['visible'][:, -1]
    x, y = e['tracks'][:, 0].T
    depth = e['depth'][0, y.astype(int), x.astype(int)]
    is_room = e['segments'][0, y.astype(int), x.astype(int)] == 0
    points = np.stack([x, y, np.ones_like(x)], 1) @ np.linalg.inv(e['lens']).T
    points = points * depth[:, None]
    moved = points @ e['pose'][:9].reshape(3, 3).T + e['pose'][9:]
    pixels = moved @ e['lens'].T
    pixels = pixels[:, :2] / pixels[:, 2:]
    far = np.linalg.norm(pixels - e['tracks'][:, -1], axis=1)
    off += far[seen & is_room].tolist()
  # (Objects too small to follow count as room here, and move.)
  assert len(off) > 8 and np.median(off) < 0.01


def test_half_are_backwards_and_starts_are_spread_for_all_motions():
  # A motion tells nothing of the number, and the number of nothing else.
  small = {'height': 8, 'width': 8, 'num_points': 0}
  clips = clips_lib.Clips(**(vars(CLIPS) | small))
  labels = [r.example['label'] for r in clips_lib.read(clips, range(64))]
  counts = collections.Counter(int(label) for label in labels)
  assert set(counts) == set(range(8)) and max(counts.values()) < 20
  # The same scene shown in the other direction is of the other class.
  scene = lambda times: source_lib.generate(
      source_lib.Scenes(2, 32, 32, clips_lib._SEED, 'held_out').scene_seed(1),
      height=32,
      width=32,
      num_frames=16,
      frames=times,
      num_tracks=0,
  )
  clip = CLIPS.draw(1)
  forth = scene([0, 2, 4, 6])
  np.testing.assert_array_equal(clip['frames'], forth.frames[::-1])
  assert clip['label'] == forth.motion ^ 1
  later = CLIPS.draw(2)['frames']
  assert later.shape == (4, 32, 32, 3)


def test_settings_that_do_not_fit():
  with pytest.raises(ValueError, match='path=20, num_frames=4 and stride=2'):
    clips_lib.Clips(**(vars(CLIPS) | {'path': 20}))
