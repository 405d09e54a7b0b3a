"""Tests that bad videos are named, and left out up to a share of all."""

import pytest

from rvm_jax.evals.datasets import videos
from tests.evals import tiny_videos


@pytest.fixture
def paths(video_set):
  folder = video_set('ssv2') / '20bn-something-something-v2'
  (folder / '1.webm').unlink()
  (folder / '2.webm').write_bytes(b'no video')
  tiny_videos.write_video(folder / '3.webm', num_frames=1)
  return [str(folder / f'{number}.webm') for number in (1, 2, 3, 4)]


def open_all(paths, max_bad_share, **changes):
  settings = dict(needs=lambda rate: 2, source='See the guide.') | changes
  return videos.open_all(paths, max_bad_share=max_bad_share, **settings)


def test_too_many_bad_videos_are_refused_with_the_reasons(paths):
  with pytest.raises(ValueError) as caught:
    open_all(paths, 0.5)
  message = str(caught.value)
  assert message.startswith('3 of 4 videos are missing, broken or too short')
  assert f'{paths[0]}: No such file' in message
  assert f'{paths[1]}: Invalid data' in message
  assert f'{paths[2]}: 1 frames, needs at least 2' in message
  assert 'max_bad_share=0.5' in message and message.endswith('See the guide.')


def test_a_few_bad_videos_are_left_out_with_a_note(paths):
  opened, notes = open_all(paths, 0.75)
  assert list(opened) == paths[3:]
  assert len(notes) == 1 and notes[0].startswith('3 of 4 videos are missing')
  video = opened[paths[3]]
  assert (video.num_frames, video.height, video.width) == (24, 48, 64)


def test_a_set_without_a_good_video_is_refused_at_any_share(paths):
  with pytest.raises(ValueError, match='3 of 3 videos'):
    open_all(paths[:3], 1.0)


def test_place_in_a_list_is_named(paths):
  with pytest.raises(ValueError, match=r'such as a\.csv, line 7: /.*/1\.webm:'):
    open_all(paths, 0.5, places={paths[0]: 'a.csv, line 7', paths[1]: ''})


def test_frames_needed_follow_from_the_frame_rate(paths):
  opened, _ = open_all(paths[3:], 0.0, needs=lambda rate: round(2 * rate))
  assert opened[paths[3]].frame_rate == pytest.approx(12, rel=1e-3)
  with pytest.raises(ValueError, match='24 frames, needs at least 36'):
    open_all(paths[3:], 0.0, needs=lambda rate: round(3 * rate))
