"""Usable clips lie at the right frames, and bad clips have a reason."""

import pytest

from rvm_jax.data import spans
from rvm_jax.data.video import listing


def test_spans_lie_where_start_and_end_say(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 50)
  clips = [
      listing.Clip(path),
      listing.Clip(path, 0.4, 1.2),
      listing.Clip(path, 1.0, 9.0),
  ]
  good, bad = spans.find(clips, min_frames=20)
  assert [span.clip for span in good] == clips
  assert [(span.start, span.num_frames) for span in good] == [
      (0, 50),
      (10, 20),
      (25, 25),
  ]
  assert not bad
  good, bad = spans.find(clips, min_frames=21)
  assert len(good) == 2
  assert bad == [f'{path}: too short: 20 frames, needs 21']


@pytest.mark.parametrize(
    'num_frames, native_rate, frame_rate, expected',
    [(6, 25.0, None, 6), (6, 25.0, 12.5, 11), (6, 10.0, 12.5, 5), (1, 9, 3, 1)],
)
def test_frames_are_counted_at_the_sampling_rate(
    num_frames, native_rate, frame_rate, expected
):
  assert spans.count_frames(num_frames, native_rate, frame_rate) == expected
