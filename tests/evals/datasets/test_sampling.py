"""Tests fixed and random cuts, and the ground truth of crops."""

import dataclasses

import numpy as np
import pytest

from rvm_jax.evals.datasets import sampling as sampling_lib
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(
    num_frames=4, frame_rate=6.0, height=32, width=32, squash=False
)
RANDOM = dataclasses.replace(
    SAMPLING, crop_area=(0.3, 1.0), crop_aspect=(0.75, 1.33), flip=0.5
)


@dataclasses.dataclass
class DrawnVideo:
  """A video whose frames are drawn when they are read."""

  num_frames: int = 60
  frame_rate: float = 12.0
  height: int = tiny_videos.HEIGHT
  width: int = tiny_videos.WIDTH

  def read(self, numbers):
    return np.stack([tiny_videos.draw(number) for number in numbers])


def replace(**changes):
  return dataclasses.replace(SAMPLING, **changes)


def numbers(sampling, **video):
  return [c.numbers.tolist() for c in sampling.list_cuts(DrawnVideo(**video))]


def boxes(sampling, **video):
  return [c.crop.box for c in sampling.list_cuts(DrawnVideo(**video))]


def test_clips_are_spread_over_the_video_at_the_sampling_rate():
  assert SAMPLING.span(12.0) == 7
  assert numbers(SAMPLING, num_frames=17) == [[5, 7, 9, 11]]
  assert numbers(replace(num_clips=3), num_frames=17) == [
      [0, 2, 4, 6],
      [5, 7, 9, 11],
      [10, 12, 14, 16],
  ]
  # Samples are 2.5 frames of the video apart; the nearest frame is taken.
  assert numbers(replace(frame_rate=12.0), frame_rate=30.0, num_frames=9) == [
      [0, 3, 5, 8]
  ]
  # A video of half the rate shows each frame twice.
  assert numbers(SAMPLING, frame_rate=3.0, num_frames=3) == [[0, 1, 1, 2]]


def test_last_frame_of_a_short_video_is_repeated():
  assert numbers(replace(num_clips=2), num_frames=4) == [[0, 2, 3, 3]] * 2


def test_clips_that_begin_in_the_same_frame_are_listed_once():
  four = replace(num_clips=4)

  def starts(**video):
    cuts = four.list_starts(DrawnVideo(**video))
    return [int(cut.numbers[0]) for cut in cuts]

  assert starts(num_frames=9) == [0, 1, 2]
  assert starts(num_frames=4) == [0]
  assert starts(num_frames=16) == [0, 3, 6, 9]
  with pytest.raises(ValueError, match='num_crops=2 must be 1'):
    replace(num_crops=2).list_starts(DrawnVideo())


def test_fixed_crops_are_the_largest_of_the_right_aspect_ratio():
  assert boxes(SAMPLING) == [(8, 0, 56, 48)]
  assert boxes(replace(num_crops=3)) == [
      (0, 0, 48, 48),
      (8, 0, 56, 48),
      (16, 0, 64, 48),
  ]
  assert boxes(replace(num_crops=2), height=64, width=48) == [
      (0, 0, 48, 48),
      (0, 16, 48, 64),
  ]
  assert boxes(replace(height=16)) == [(0, 8, 64, 40)]  # Aspect ratio 2.
  assert boxes(replace(squash=True)) == [(0, 0, 64, 48)]
  cuts = replace(num_clips=2, num_crops=2).list_cuts(DrawnVideo())
  assert [(c.numbers[0], c.crop.box[0]) for c in cuts] == [
      (0, 0),
      (0, 16),
      (53, 0),
      (53, 16),
  ]


def test_random_cuts_cover_what_the_settings_allow():
  rng = np.random.default_rng(0)
  cuts = [RANDOM.sample(rng, DrawnVideo(num_frames=17)) for _ in range(400)]
  assert {int(cut.numbers[0]) for cut in cuts} == set(range(11))
  box = np.array([cut.crop.box for cut in cuts])
  sides = box[:, 2:] - box[:, :2]
  share = sides.prod(-1) / 48**2
  assert 0.28 < share.min() < 0.35 and 0.9 < share.max() < 1.02
  aspect = sides[:, 0] / sides[:, 1]
  assert 0.72 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.38
  assert box.min() >= 0 and box[:, 2].max() <= 64 and box[:, 3].max() <= 48
  assert 150 < sum(cut.crop.is_flipped for cut in cuts) < 250
  # By default a random crop is the largest one, in a random place.
  cuts = [SAMPLING.sample(rng, DrawnVideo(num_frames=4)) for _ in range(99)]
  assert {cut.crop.box[0] for cut in cuts} == set(range(17))
  assert all(c.crop.box[2] - c.crop.box[0] == 48 for c in cuts)
  assert not any(cut.crop.is_flipped for cut in cuts)
  whole = replace(squash=True).sample(rng, DrawnVideo())
  assert whole.crop.box == (0, 0, 64, 48)


@pytest.mark.parametrize('seed', range(8))
def test_converted_ground_truth_lies_on_its_pixels(seed):
  rng = np.random.default_rng(seed)
  video = DrawnVideo(num_frames=30)
  cut = RANDOM.sample(rng, video)
  frames = cut.read(video)
  assert frames.shape == (4, 32, 32, 3) and frames.dtype == np.uint8
  found = tiny_videos.locate(frames)  # (x, y, number) of each pixel.
  np.testing.assert_allclose(found[:, 16, 16, 2], cut.numbers, atol=0.2)

  points = rng.uniform((2, 2), (62, 46), (200, 2))
  moved = cut.crop.move_points(points)
  assert moved.dtype == np.float32
  inside = cut.crop.is_inside(moved)
  x0, y0, x1, y1 = cut.crop.box
  np.testing.assert_array_equal(
      inside, np.all((points >= (x0, y0)) & (points < (x1, y1)), -1)
  )
  column, row = moved[inside].astype(int).T
  seen = found[0, row, column, :2]
  # The tolerance is half a pixel of the crop, and a few grey levels.
  assert np.abs(seen - points[inside]).max() < 1.3

  first = points[::2]
  true = np.concatenate([first, first + rng.uniform(3, 12, (100, 2))], -1)
  boxes_seen = cut.crop.move_boxes(true)
  assert boxes_seen.dtype == np.float32
  corners = cut.crop.move_points(true.reshape(-1, 2, 2))
  is_seen = (
      np.clip(true[:, 2:], (x0, y0), (x1, y1))
      > np.clip(true[:, :2], (x0, y0), (x1, y1))
  ).all(-1)
  np.testing.assert_array_equal(np.isfinite(boxes_seen).all(-1), is_seen)
  np.testing.assert_allclose(
      boxes_seen[is_seen].reshape(-1, 2, 2),
      np.clip(np.sort(corners[is_seen], 1), 0, 32),
  )
  assert np.isnan(cut.crop.move_boxes(np.full((1, 4), np.nan))).all()

  # A map of half the size of the frames, whose values are x in the frames.
  x = np.tile(2 * np.arange(32) + 1, (4, 24, 1))
  picked = cut.crop.pick_nearest(x, (48, 64))
  assert picked.shape == (4, 32, 32)
  assert np.abs(picked - found[..., 0]).max() < 2.3


def test_nearest_pixels_of_a_small_map():
  crop = sampling_lib.Crop((0, 0, 12, 4), height=2, width=3)
  # A pixel of the map is 4 x 2 pixels of the frames.
  maps = np.arange(6).reshape(1, 2, 3)
  np.testing.assert_array_equal(
      crop.pick_nearest(maps, (4, 12)), [[[0, 1, 2], [3, 4, 5]]]
  )
  flipped = dataclasses.replace(crop, box=(6, 2, 12, 4), is_flipped=True)
  np.testing.assert_array_equal(
      flipped.pick_nearest(maps, (4, 12)), [[[5, 5, 4], [5, 5, 4]]]
  )


def test_random_cut_is_sampled_until_it_has_ground_truth():
  rng = np.random.default_rng(0)
  fixed = SAMPLING.list_cuts(DrawnVideo())[0]

  def find_late(cut):
    return {'found': 1} if cut.numbers[0] > 40 else None

  def find_fixed(cut):
    return {'found': 2} if cut is fixed else None

  for _ in range(5):
    cut, found = SAMPLING.sample_with(rng, DrawnVideo(), fixed, find_late)
    assert cut.numbers[0] > 40 and found == {'found': 1}
  for source in (rng, None):
    cut, found = SAMPLING.sample_with(source, DrawnVideo(), fixed, find_fixed)
    assert cut is fixed and found == {'found': 2}


def test_settings_out_of_range_are_refused():
  with pytest.raises(ValueError, match='num_clips=0 must be at least 1'):
    replace(num_clips=0)
  with pytest.raises(ValueError, match='frame_rate=0.0 must be positive'):
    replace(frame_rate=0.0)
