"""Tests the sources of frames: files, cameras, and what they refuse."""

import sys

import numpy as np
import pytest

from rvm_jax.live import frames
from tests import video_files


def read_all(source):
  return list(iter(source.read, None))


def test_file_gives_every_frame_and_begins_again(video):
  source = frames.VideoFile(video)
  assert source.name == 'a <b>.mp4' and source.shape == (64, 96)
  pictures = read_all(source)
  assert [p.time for p in pictures] == [t / 25 for t in range(20)]
  for found, expected in zip(pictures, video_files.decode_all(video)):
    np.testing.assert_array_equal(
        found.picture.to_ndarray(format='rgb24'), expected
    )
  assert source.read() is None and not source.note
  source.restart()
  assert len(read_all(source)) == 20


def test_folder_of_pictures_gives_every_frame(tmp_path):
  pictures = [video_files.picture(number, 24, 32) for number in range(3)]
  video_files.write_folder(tmp_path / 'bear', pictures)
  source = frames.VideoFile(f'{tmp_path}/bear/')
  assert source.name == 'bear' and source.shape == (24, 32)
  for found, expected in zip(read_all(source), pictures, strict=True):
    found = found.picture.to_ndarray(format='rgb24')
    np.testing.assert_array_equal(found, expected)


def test_file_without_a_second_frame_is_refused(tmp_path, make_video):
  path = make_video(tmp_path / 'still.mp4', num_frames=1)
  with pytest.raises(ValueError, match=r'still\.mp4: .* two .*, got 1'):
    frames.VideoFile(path)


def test_file_that_is_no_video_is_refused(tmp_path):
  (tmp_path / 'a.mp4').write_text('hello')
  for name in ('a.mp4', 'missing.mp4'):
    with pytest.raises(ValueError, match=f'{name}: .*; give a video that'):
      frames.VideoFile(str(tmp_path / name))


def test_camera_that_is_not_there_is_refused():
  with pytest.raises(ValueError) as error:
    frames.Camera('/dev/no_such_camera')
  message = str(error.value)
  assert message.startswith('no camera at /dev/no_such_camera: ')
  assert '--video FILE' in message and '\n' not in message


def test_camera_needs_a_name_where_the_platform_has_no_first_one(monkeypatch):
  monkeypatch.setattr(sys, 'platform', 'win32')
  with pytest.raises(ValueError, match='--camera needs the name'):
    frames.Camera('')


def test_camera_gives_its_newest_frame_up_to_the_last(monkeypatch, video):
  # FFmpeg reads the file as if it were a camera: the thread runs ahead.
  monkeypatch.setattr(frames, '_CAMERAS', {'linux': (None, {}, video)})
  camera = frames.Camera('')
  assert camera.shape == (64, 96)
  camera._thread.join()
  numbers = [round(25 * p.picture.time) for p in read_all(camera)]
  # The first frame may have been the last one.
  assert numbers in ([19], [])
  assert camera.note == 'it has ended' and camera.read() is None
  camera.close()
