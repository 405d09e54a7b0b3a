"""Records of videos: their windows, and bad, short and partial clips."""

import dataclasses
import pickle

import numpy as np
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import sources
from tests import video_files

# A sample spans 10 frames with the greatest gap, 4 with the least gap, and 3
# with a gap of 1.
SPACING = frame_sampling.Spacing(
    num_source=2, num_target=1, stride=1, min_gap=2, max_gap=8
)


def test_long_clips_have_as_many_records_as_samples_fit(
    tmp_path, make_video, warnings
):
  for name, num_frames in {'a': 35, 'b': 10, 'c': 60}.items():
    make_video(tmp_path / f'{name}.mp4', num_frames, options={'g': '12'})
  source = sources.Videos(str(tmp_path), SPACING, max_bad_share=0.0)
  records = [source[number] for number in range(len(source))]
  assert [record.clip[0] for record in records] == [0] * 3 + [1] + [2] * 6
  assert not warnings
  # The windows divide the possible first frames without leaving any out.
  for place, num_frames in enumerate((35, 10, 60)):
    mine = [record for record in records if record.clip[0] == place]
    bounds = [record.window for record in mine]
    assert bounds[0][0] == 0 and bounds[-1][1] == num_frames - 10 + 1
    assert all(a[1] == b[0] for a, b in zip(bounds, bounds[1:]))
    assert all(start < stop for start, stop in bounds)
    assert all(record.num_frames == num_frames for record in mine)
    assert all(record.frame_rate == 25.0 for record in mine)
    assert [r.clip[1] for r in mine] == [start for start, _ in bounds]
  with pytest.raises(IndexError):
    source[len(source)]


def test_records_of_a_pickled_source_read_exact_frames(tmp_path, make_video):
  make_video(tmp_path / 'a.mp4', 40, options={'g': '12', 'bf': '3'})
  source = sources.Videos(str(tmp_path), SPACING, max_bad_share=0.0)
  expected = video_files.decode_all(tmp_path / 'a.mp4')
  record = pickle.loads(pickle.dumps(source))[2]
  frames = record.read([1, 20, 39])
  assert frames.shape == (3, 64, 96, 3) and frames.dtype == np.uint8
  for frame, number in zip(frames, (1, 20, 39)):
    assert np.array_equal(frame, expected[number])
  clip = np.array([0, 17])
  assert source.describe(clip) == f'{tmp_path}/a.mp4 from frame 17'


def test_assumed_frame_rate_of_folders_is_stated_where_it_counts(
    tmp_path, make_video, warnings
):
  make_video(tmp_path / 'a.mp4', 20)
  frames = [video_files.picture(number, 24, 32) for number in range(20)]
  video_files.write_folder(tmp_path / 'bear', frames)
  source = sources.Videos(str(tmp_path), SPACING, max_bad_share=0.0)
  assert not warnings and [source[i].frame_rate for i in (0, 2)] == [25.0, 25.0]
  spacing = dataclasses.replace(SPACING, frame_rate=12.5)
  sources.Videos(str(tmp_path), spacing, max_bad_share=0.0)
  (message,) = warnings
  assert '1 of 2 videos' in message and '25 a second' in message


def test_spans_in_a_manifest_are_clips_of_their_own(tmp_path, make_video):
  make_video(tmp_path / 'a.mp4', 60, options={'g': '12'})
  manifest = tmp_path / 'list.csv'
  manifest.write_text('path,start,end\na.mp4,0.4,1.2\na.mp4,1,\na.mp4,2,9\n')
  source = sources.Videos(str(manifest), SPACING, max_bad_share=0.0)
  expected = video_files.decode_all(tmp_path / 'a.mp4')
  parts = {int(source[i].clip[0]): source[i] for i in range(len(source))}
  assert [part.num_frames for part in parts.values()] == [20, 35, 10]
  for place, start in enumerate((10, 25, 50)):
    frames = parts[place].read([0, 9])
    assert np.array_equal(frames[0], expected[start])
    assert np.array_equal(frames[1], expected[start + 9])
    assert source.describe(np.array([place, 3])).endswith(f'frame {start + 3}')


def test_bad_clips_are_left_out_with_a_warning_up_to_the_given_share(
    tmp_path, make_video, warnings
):
  for name in 'abc':
    make_video(tmp_path / f'{name}.mp4', 20)
  (tmp_path / 'text.mp4').write_text('no video')
  make_video(tmp_path / 'tiny.mp4', 2)
  source = sources.Videos(str(tmp_path), SPACING, max_bad_share=0.4)
  assert {int(source[i].clip[0]) for i in range(len(source))} == {0, 1, 2}
  (message,) = warnings
  assert '2 of 5 videos' in message
  assert 'tiny.mp4: too short: 2 frames, needs 3' in message
  assert f"data.check --min_frames=3 '{tmp_path}'" in message
  with pytest.raises(ValueError, match='max_bad_share=0.39'):
    sources.Videos(str(tmp_path), SPACING, max_bad_share=0.39)


def test_source_without_a_good_clip_is_refused_for_any_share(tmp_path):
  (tmp_path / 'text.mp4').write_text('no video')
  with pytest.raises(ValueError, match='1 of 1 videos .* are bad'):
    sources.Videos(str(tmp_path), SPACING, max_bad_share=1.0)


def test_span_beyond_the_end_of_its_video_is_bad(tmp_path, make_video):
  make_video(tmp_path / 'a.mp4', 20)
  (tmp_path / 'list.csv').write_text('path,start\na.mp4,0\na.mp4,30\n')
  with pytest.raises(ValueError, match='1 of 2 videos .* past the end'):
    sources.Videos(str(tmp_path / 'list.csv'), SPACING, max_bad_share=0.1)


def test_clips_too_short_for_the_greatest_gap_are_used_with_one_warning(
    tmp_path, make_video, warnings
):
  make_video(tmp_path / 'a.mp4', 20)
  make_video(tmp_path / 'b.mp4', 9)
  make_video(tmp_path / 'c.mp4', 3)
  source = sources.Videos(str(tmp_path), SPACING, max_bad_share=0.0)
  assert len(source) == 4
  assert source[2].window == (0, 1)
  (message,) = warnings
  assert '2 of 3 videos' in message and 'gaps up to 8' in message


def test_source_without_room_for_the_least_gap_is_refused(tmp_path, make_video):
  make_video(tmp_path / 'a.mp4', 10)
  make_video(tmp_path / 'b.mp4', 12)
  spacing = frame_sampling.Spacing(2, 1, 1, min_gap=12, max_gap=20)
  with pytest.raises(ValueError) as error:
    sources.Videos(str(tmp_path), spacing, max_bad_share=0.0)
  for part in ('12..20', 'longest has 12 frames', 'need 14', 'lower min_gap'):
    assert part in str(error.value)


def test_number_of_records_depends_on_the_frame_rate(tmp_path, make_video):
  make_video(tmp_path / 'a.mp4', 60)
  # At half the frame rate a sample spans 19 frames of the video.
  half = frame_sampling.Spacing(2, 1, 1, 2, 8, frame_rate=12.5)
  source = sources.Videos(str(tmp_path), half, max_bad_share=0.0)
  assert len(source) == 3
  assert source[2].window[1] == 60 - 19 + 1


def test_split_divides_the_clips_by_the_names_of_their_files(
    tmp_path, make_video
):
  # Of the names 0 to 11, `held_out.draw` is below 0.2 for 8 and 9.
  for number in range(12):
    make_video(tmp_path / f'{number}.mp4', 20)
  lines = [f'{number}.mp4,{s}' for s in (0, 0.4) for number in range(12)]
  manifest = tmp_path / 'list.csv'
  manifest.write_text('\n'.join(['path,start', *lines]))
  source = sources.Videos(str(manifest), SPACING, max_bad_share=0.0)
  training, held_out = source.split(0.2)
  assert (training.num_clips, held_out.num_clips) == (20, 4)

  def describe_all(source):
    clips = {int(source[i].clip[0]) for i in range(len(source))}
    texts = (source.describe(np.array([clip, 0])) for clip in clips)
    return [text.removeprefix(f'{tmp_path}/') for text in texts]

  assert describe_all(held_out) == [
      f'{number}.mp4 from frame {first}'
      for first in (0, 10)
      for number in (8, 9)
  ]
  assert sorted(describe_all(training) + describe_all(held_out)) == sorted(
      describe_all(source)
  )
  # The clips of each part have their own frames.
  expected = video_files.decode_all(tmp_path / '9.mp4')
  frames = held_out[len(held_out) - 1].read([0])
  assert np.array_equal(frames[0], expected[10])
  whole, nothing = source.split(0.0)
  assert len(whole) == len(source) and nothing is None
  assert source.split(0.99)[0] is None
