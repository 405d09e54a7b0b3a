"""Reading with seeks gives exactly the frames that decoding all gives."""

import dataclasses
import os
import pathlib
import struct

import numpy as np
import pytest

from rvm_jax.data.video import reader
from tests import video_files
from tests.data.video import exact


@pytest.mark.parametrize('name', exact.FORMATS)
def test_read_is_exact_by_seeking_alone(
    tmp_path, make_video, no_fallback, name
):
  codec, options, pix_fmt = exact.FORMATS[name]
  path = make_video(
      tmp_path / name, 60, codec, options=options, pix_fmt=pix_fmt
  )
  expected = video_files.decode_all(path)
  contents = reader.scan(path)
  assert contents.num_frames == len(expected) == 60
  assert (contents.height, contents.width) == expected[0].shape[:2]
  assert contents.frame_rate == pytest.approx(25, rel=0.01)
  assert contents.note == ''
  if name not in ('one_key_frame.mp4', 'refreshed.mp4', 'animation.gif'):
    assert contents.key_frames.size >= 5
  no_fallback()
  for number in range(60):
    exact.assert_exact(path, contents, expected, [number])
  rng = np.random.default_rng(0)
  for _ in range(10):
    exact.assert_exact(
        path, contents, expected, rng.integers(0, 60, 6).tolist()
    )


def test_read_is_exact_without_timestamps(tmp_path, make_video):
  path = make_video(tmp_path / 'raw.h264', 40, options={'g': '12', 'bf': '3'})
  contents = reader.scan(path)
  assert contents.timestamps.size == 0
  exact.assert_exact(path, contents, video_files.decode_all(path), [30, 2, 39])


def test_read_is_exact_with_uneven_and_late_timestamps(tmp_path, make_video):
  times = np.cumsum(np.random.default_rng(0).integers(1, 9, 40)) + 1000
  path = make_video(
      tmp_path / 'uneven.mkv', 40, options={'g': '8'}, times=times.tolist()
  )
  contents = reader.scan(path)
  seconds = (times[-1] - times[0]) / 25
  assert contents.frame_rate == pytest.approx(39 / seconds, rel=0.01)
  expected = video_files.decode_all(path)
  for number in range(40):
    exact.assert_exact(path, contents, expected, [number])


@pytest.mark.parametrize(
    'wrong',
    [
        {'key_frames': np.array([0, 5, 17, 33])},
        {'key_frames': np.arange(60)},
        {'timestamps': np.arange(60) * 512 + 1},
        {'lead': 7},
    ],
    ids=['no key there', 'all keys', 'no such timestamp', 'lead'],
)
def test_read_is_exact_even_if_contents_are_wrong(tmp_path, make_video, wrong):
  path = make_video(tmp_path / 'a.mp4', 60, options={'g': '12', 'bf': '3'})
  contents = reader.scan(path)
  expected = video_files.decode_all(path)
  lying = dataclasses.replace(contents, **wrong)
  for number in (0, 4, 6, 20, 35, 59):
    exact.assert_exact(path, lying, expected, [number])


def test_read_is_exact_if_seeks_land_between_key_frames(tmp_path, make_video):
  path = make_video(tmp_path / 'a.ts', 60, 'mpeg4', options={'g': '12'})
  contents = reader.scan(path)
  expected = video_files.decode_all(path)
  lying = dataclasses.replace(contents, key_frames=np.arange(60), lead=0)
  for number in range(60):
    exact.assert_exact(path, lying, expected, [number])


def test_scan_lists_no_key_frames_if_seeks_give_other_frames(
    tmp_path, make_video, monkeypatch
):
  path = make_video(tmp_path / 'a.mp4', 60, options={'g': '12', 'bf': '3'})
  assert reader.scan(path).key_frames.tolist() == [0, 12, 24, 36, 48]
  true_seek = reader._seek

  def one_off(stream, contents, wanted):
    for number, frame in true_seek(stream, contents, wanted + 1):
      yield number - 1, frame

  monkeypatch.setattr(reader, '_seek', one_off)
  assert reader.scan(path).key_frames.tolist() == []


def test_read_turns_frames_upright(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 10)
  expected = video_files.decode_all(path)
  data = pathlib.Path(path).read_bytes()
  matrix = struct.pack('>9i', 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
  at = data.index(matrix, data.index(b'tkhd'))
  clockwise = struct.pack('>9i', 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
  turned = tmp_path / 'turned.mp4'
  turned.write_bytes(data[:at] + clockwise + data[at + len(matrix) :])
  contents = reader.scan(str(turned))
  assert (contents.height, contents.width) == (96, 64)
  frame = reader.read(str(turned), contents, [7])[0]
  assert np.array_equal(frame, np.rot90(expected[7], -1))


def test_scan_names_bad_files_and_the_reason(tmp_path, make_video):
  (tmp_path / 'empty.mp4').touch()
  (tmp_path / 'text.mp4').write_text('this is not a video\n' * 100)
  video_files.write_audio(tmp_path / 'sound.mp4')
  data = pathlib.Path(make_video(tmp_path / 'whole.mp4')).read_bytes()
  (tmp_path / 'headless.mp4').write_bytes(data[: len(data) // 2])
  make_video(tmp_path / 'no_frames.avi', 0)
  for name, reason in {
      'empty.mp4': 'Invalid data',
      'text.mp4': 'Invalid data',
      'sound.mp4': 'no video stream',
      'headless.mp4': 'Invalid data',
      'no_frames.avi': '.',
      'missing.mp4': 'No such file',
  }.items():
    path = str(tmp_path / name)
    with pytest.raises(reader.BrokenVideo, match=reason) as error:
      reader.scan(path)
    assert error.value.path == path
    assert error.value.reason


def test_read_names_frames_and_files_that_are_gone(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 60)
  contents = reader.scan(path)
  make_video(tmp_path / 'a.mp4', 30)
  with pytest.raises(reader.BrokenVideo, match=r'frames \[45\]'):
    reader.read(path, contents, [10, 45])
  with pytest.raises(IndexError, match=r'in \[0, 60\), got \[60\]'):
    reader.read(path, contents, [60])
  os.remove(path)
  with pytest.raises(reader.BrokenVideo, match='No such file'):
    reader.read(path, contents, [10])


@pytest.mark.skipif(
    'RVM_TEST_VIDEOS' not in os.environ,
    reason='RVM_TEST_VIDEOS names no folder of videos',
)
def test_read_is_exact_on_real_videos():
  folder = pathlib.Path(os.environ['RVM_TEST_VIDEOS'])
  rng = np.random.default_rng(0)
  for path in sorted(folder.iterdir()):
    if path.suffix not in ('.avi', '.mkv', '.mov', '.mp4', '.webm'):
      continue
    expected = video_files.decode_all(str(path))
    contents = reader.scan(str(path))
    assert contents.num_frames == len(expected)
    for _ in range(10):
      numbers = rng.integers(0, len(expected), 8).tolist()
      exact.assert_exact(str(path), contents, expected, numbers)
