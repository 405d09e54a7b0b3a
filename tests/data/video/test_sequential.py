"""Reading in order gives the frames and the rate that the index has."""

import pathlib

import numpy as np
import pytest

from rvm_jax.data.video import reader
from rvm_jax.data.video import sequential
from tests import video_files
from tests.data.video import exact


def decode(path, start=0):
  """Returns copies of all frames, and the reason if they end early, else ''."""
  frames = []
  try:
    for frame in sequential.decode(str(path), start):
      frames.append(frame.copy())
  except reader.BrokenVideo as error:
    return frames, error.reason
  return frames, ''


@pytest.mark.parametrize(
    'name',
    ['h264.mkv', 'h264.ts', 'interlaced.mp4', 'mpeg2.mpg', 'mpeg4.avi'],
)
def test_frames_and_rate_are_those_of_the_index(tmp_path, make_video, name):
  codec, options, pix_fmt = exact.FORMATS[name]
  path = make_video(
      tmp_path / name, 30, codec, options=options, pix_fmt=pix_fmt
  )
  contents = reader.scan(path)
  frames, reason = decode(path)
  assert not reason and len(frames) == contents.num_frames
  expected = reader.read(path, contents, range(contents.num_frames))
  assert np.array_equal(frames, expected)
  assert sequential.measure_rate(path) == contents.frame_rate
  later, _ = decode(path, 20)
  assert np.array_equal(later, expected[20:])


def test_rate_is_the_mean_of_uneven_timestamps(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mkv', 4, rate=25, times=[0, 1, 5, 12])
  assert sequential.measure_rate(path) == reader.scan(path).frame_rate
  assert sequential.measure_rate(path) == pytest.approx(3 / (12 / 25), rel=1e-3)


def test_frames_before_damage_come_first(tmp_path, make_video):
  path = make_video(tmp_path / 'a.avi', 60, 'mpeg4', options={'g': '12'})
  with open(path, 'r+b') as file:
    file.seek(file.seek(0, 2) // 2)
    file.write(np.random.default_rng(0).bytes(200))
  contents = reader.scan(path)
  frames, reason = decode(path)
  assert 0 < len(frames) < 59 and len(frames) == contents.num_frames
  assert reason == contents.note


def test_shortfall_is_reported_after_the_last_frame(tmp_path, make_video):
  path = pathlib.Path(
      make_video(tmp_path / 'a.webm', 60, 'libvpx', options={'g': '12'})
  )
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
  contents = reader.scan(str(path))
  frames, reason = decode(path)
  assert len(frames) == contents.num_frames
  assert reason == contents.note and 'header claims' in reason
  assert sequential.measure_rate(str(path)) > 0


def test_folder_ends_at_a_broken_picture(tmp_path):
  pictures = [video_files.picture(i, 32, 48) for i in range(4)]
  folder = video_files.write_folder(tmp_path / 'bear', pictures)
  frames, reason = decode(folder)
  assert np.array_equal(frames, pictures) and not reason
  assert sequential.measure_rate(folder) == 25
  pathlib.Path(folder, '00002.png').write_bytes(b'no picture')
  frames, reason = decode(folder)
  assert np.array_equal(frames, pictures[:2])
  assert '00002.png is not a picture' in reason


def test_file_without_frames_is_broken(tmp_path):
  path = tmp_path / 'a.mp4'
  path.write_bytes(b'nothing')
  assert decode(path)[1] == 'Invalid data found when processing input'
  with pytest.raises(reader.BrokenVideo, match='a.mp4: Invalid data'):
    sequential.measure_rate(str(path))
