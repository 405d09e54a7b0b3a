"""Clips are divided into records, split by name, and judged if bad."""

import numpy as np
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import windows

# A sample spans 10 frames with the greatest gap, and 4 with the least gap.
SPACING = frame_sampling.Spacing(
    num_source=2, num_target=1, stride=1, min_gap=2, max_gap=8
)


class Numbers(windows.Windows):
  """A source in which each frame is its number in the video, an integer."""

  def _read(self, clip, numbers):
    return self._clips.starts[clip] + np.asarray(numbers)

  def _path(self, clip):
    return f'video {self._clips.ids[clip]}'


def make(nums_frames, draws=0.5):
  count = len(nums_frames)
  clips = windows.Clips(
      ids=np.arange(count),
      starts=100 * np.arange(count),
      nums_frames=np.array(nums_frames),
      rates=np.full(count, 25.0),
      draws=np.broadcast_to(draws, count),
  )
  return Numbers('videos', clips, SPACING)


def test_windows_divide_the_first_frames_of_each_clip():
  source = make([35, 10, 60])
  records = [source[number] for number in range(len(source))]
  assert [record.clip[0] for record in records] == [0] * 3 + [1] + [2] * 6
  assert [r.window for r in records[:4]] == [(0, 8), (8, 17), (17, 26), (0, 1)]
  assert records[5].read([0, 3]).tolist() == [200, 203]
  assert source.describe(np.array([2, 7])) == 'video 2 from frame 207'
  with pytest.raises(IndexError):
    source[len(source)]


def test_split_keeps_what_belongs_to_a_clip_together():
  source = make([35, 10, 60], [0.1, 0.9, 0.2])
  training, held_out = source.split(0.5)
  assert training.num_clips == 1 and len(training) == 1
  assert held_out.num_clips == 2 and len(held_out) == 9
  assert held_out[4].read([1]).tolist() == [201]
  assert held_out.describe(np.array([1, 0])) == 'video 2 from frame 200'
  assert source.split(0.05)[1] is None
  assert len({part.fingerprint() for part in (source, training, held_out)}) == 3


def test_bad_clips_are_judged_by_their_share(warnings):
  windows.judge('videos', 3, ['a.mp4: bad'], 0.25, SPACING)
  (message,) = warnings
  assert '1 of 4 videos' in message and "--min_frames=3 'videos'" in message
  for num_good, max_bad_share in ((3, 0.24), (0, 1.0)):
    with pytest.raises(ValueError, match='a.mp4: bad'):
      windows.judge('videos', num_good, ['a.mp4: bad'], max_bad_share, SPACING)
