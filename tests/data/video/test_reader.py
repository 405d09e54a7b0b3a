"""Seeking gives exactly the frames that decoding from the start gives."""

import dataclasses
import os
import pathlib
import pickle
import struct

import av
import numpy as np
import pytest

from rvm_jax.data.video import decoder
from rvm_jax.data.video import reader

# name: encoder, its options, its pixel format.
FORMATS = {
    'one_key_frame.mp4': ('libx264', {'g': '250', 'bf': '3'}, 'yuv420p'),
    'open_gop.mp4': (
        'libx264',
        {'x264-params': 'keyint=12:open-gop=1:bframes=3:scenecut=0'},
        'yuv420p',
    ),
    'short_gop.mp4': ('libx264', {'g': '3', 'bf': '2'}, 'yuv420p'),
    'refreshed.mp4': (
        'libx264',
        {'x264-params': 'keyint=12:intra-refresh=1'},
        'yuv420p',
    ),
    'interlaced.mp4': (
        'libx264',
        {'g': '12', 'x264-params': 'interlaced=1'},
        'yuv420p',
    ),
    'h264.mkv': ('libx264', {'g': '12', 'bf': '3'}, 'yuv420p'),
    'h264.ts': ('libx264', {'g': '12', 'bf': '3'}, 'yuv420p'),
    'h264.avi': ('libx264', {'g': '12', 'bf': '3'}, 'yuv420p'),
    'open_gop_hevc.mp4': (
        'libx265',
        {'x265-params': 'keyint=12:open-gop=1:bframes=3:log-level=none'},
        'yuv420p',
    ),
    'mpeg4.mp4': ('mpeg4', {'g': '12', 'bf': '2'}, 'yuv420p'),
    'mpeg4.avi': ('mpeg4', {'g': '12', 'bf': '2'}, 'yuv420p'),
    'msmpeg4.avi': ('msmpeg4', {'g': '12'}, 'yuv420p'),
    'mpeg2.mpg': ('mpeg2video', {'g': '12', 'bf': '2'}, 'yuv420p'),
    'mjpeg.avi': ('mjpeg', {}, 'yuvj420p'),
    'vp9.webm': (
        'libvpx-vp9',
        {'g': '12', 'deadline': 'realtime', 'cpu-used': '8'},
        'yuv420p',
    ),
    'vp8.webm': ('libvpx', {'g': '12', 'cpu-used': '5'}, 'yuv420p'),
    'ffv1.mkv': ('ffv1', {'g': '12'}, 'yuv420p'),
    'animation.gif': ('gif', {}, 'rgb8'),
}


def decode_all(path):
  with av.open(path) as container:
    stream = container.streams.video[0]
    return [f.to_ndarray(format='rgb24') for f in container.decode(stream)]


def assert_exact(path, contents, truth, numbers):
  frames = reader.read(path, contents, numbers)
  assert frames.dtype == np.uint8
  for frame, number in zip(frames, numbers, strict=True):
    assert np.array_equal(frame, truth[number]), (path, number)


@pytest.fixture
def no_fallback(monkeypatch):
  """Forbids decoding from the start once a file has been scanned."""

  def forbid():
    def fail(stream):
      raise AssertionError('decoded from the start')

    monkeypatch.setattr(decoder, 'from_start', fail)

  return forbid


@pytest.mark.parametrize('name', FORMATS)
def test_read_is_exact_by_seeking_alone(
    tmp_path, make_video, no_fallback, name
):
  codec, options, pix_fmt = FORMATS[name]
  path = make_video(
      tmp_path / name, 60, codec, options=options, pix_fmt=pix_fmt
  )
  truth = decode_all(path)
  contents = reader.scan(path)
  assert contents.num_frames == len(truth) == 60
  assert (contents.height, contents.width) == truth[0].shape[:2]
  assert contents.frame_rate == pytest.approx(25, rel=0.01)
  assert contents.note == ''
  if name not in ('one_key_frame.mp4', 'refreshed.mp4', 'animation.gif'):
    assert contents.keys.size >= 5
  no_fallback()
  for number in range(60):
    assert_exact(path, contents, truth, [number])
  rng = np.random.default_rng(0)
  for _ in range(10):
    assert_exact(path, contents, truth, rng.integers(0, 60, 6).tolist())


def test_read_decodes_from_the_start_without_timestamps(tmp_path, make_video):
  path = make_video(tmp_path / 'raw.h264', 40, options={'g': '12', 'bf': '3'})
  contents = reader.scan(path)
  assert contents.labels.size == 0
  assert_exact(path, contents, decode_all(path), [30, 2, 39])


def test_uneven_and_late_timestamps(tmp_path, make_video):
  times = np.cumsum(np.random.default_rng(0).integers(1, 9, 40)) + 1000
  path = make_video(
      tmp_path / 'uneven.mkv', 40, options={'g': '8'}, times=times.tolist()
  )
  contents = reader.scan(path)
  seconds = (times[-1] - times[0]) / 25
  assert contents.frame_rate == pytest.approx(39 / seconds, rel=0.01)
  truth = decode_all(path)
  for number in range(40):
    assert_exact(path, contents, truth, [number])


@pytest.mark.parametrize(
    'wrong',
    [
        {'keys': np.array([0, 5, 17, 33])},
        {'keys': np.arange(60)},
        {'labels': np.arange(60) * 512 + 1},
        {'lead': 7},
    ],
    ids=['no key there', 'all keys', 'no such label', 'lead'],
)
def test_a_seek_that_goes_wrong_gives_no_wrong_frame(
    tmp_path, make_video, wrong
):
  path = make_video(tmp_path / 'a.mp4', 60, options={'g': '12', 'bf': '3'})
  contents = reader.scan(path)
  truth = decode_all(path)
  lying = dataclasses.replace(contents, **wrong)
  for number in (0, 4, 6, 20, 35, 59):
    assert_exact(path, lying, truth, [number])


def test_a_seek_that_lands_between_key_frames_is_not_trusted(
    tmp_path, make_video
):
  path = make_video(tmp_path / 'a.ts', 60, 'mpeg4', options={'g': '12'})
  contents = reader.scan(path)
  truth = decode_all(path)
  lying = dataclasses.replace(contents, keys=np.arange(60), lead=0)
  for number in range(60):
    assert_exact(path, lying, truth, [number])


def test_scan_gives_up_seeking_where_it_deceives(
    tmp_path, make_video, monkeypatch
):
  path = make_video(tmp_path / 'a.mp4', 60, options={'g': '12', 'bf': '3'})
  assert reader.scan(path).keys.tolist() == [0, 12, 24, 36, 48]
  true_seek = reader._seek

  def one_off(stream, contents, wanted):
    for number, frame in true_seek(stream, contents, wanted + 1):
      yield number - 1, frame

  monkeypatch.setattr(reader, '_seek', one_off)
  assert reader.scan(path).keys.tolist() == []


def test_frames_come_upright(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 10)
  truth = decode_all(path)
  data = pathlib.Path(path).read_bytes()
  matrix = struct.pack('>9i', 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
  at = data.index(matrix, data.index(b'tkhd'))
  clockwise = struct.pack('>9i', 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
  turned = tmp_path / 'turned.mp4'
  turned.write_bytes(data[:at] + clockwise + data[at + len(matrix) :])
  contents = reader.scan(str(turned))
  assert (contents.height, contents.width) == (96, 64)
  frame = reader.read(str(turned), contents, [7])[0]
  assert np.array_equal(frame, np.rot90(truth[7], -1))


def test_truncated_file_is_usable_up_to_the_cut(tmp_path, make_video):
  whole = make_video(tmp_path / 'a.avi', 60, 'mjpeg', pix_fmt='yuvj420p')
  truth = decode_all(whole)
  data = pathlib.Path(whole).read_bytes()
  cut = tmp_path / 'cut.avi'
  cut.write_bytes(data[: len(data) // 2])
  contents = reader.scan(str(cut))
  assert 20 < contents.num_frames < 40
  assert contents.note
  numbers = list(range(contents.num_frames))
  assert_exact(str(cut), contents, truth, numbers)


def test_damage_in_the_middle_ends_what_is_usable(tmp_path, make_video):
  path = make_video(tmp_path / 'a.avi', 60, 'mpeg4', options={'g': '12'})
  truth = decode_all(path)
  with open(path, 'r+b') as file:
    file.seek(file.seek(0, 2) // 2)
    file.write(np.random.default_rng(0).bytes(200))
  contents = reader.scan(path)
  assert 0 < contents.num_frames < 59
  assert 'is damaged' in contents.note
  assert_exact(path, contents, truth, list(range(contents.num_frames)))


@pytest.mark.parametrize(
    'name', ['open_gop.mp4', 'mpeg4.mp4', 'open_gop_hevc.mp4']
)
def test_frames_that_the_decoder_holds_at_damage_are_usable(
    tmp_path, make_video, no_fallback, name
):
  codec, options, pix_fmt = FORMATS[name]
  path = make_video(
      tmp_path / name, 40, codec, options=options, pix_fmt=pix_fmt
  )
  truth, data = decode_all(path), pathlib.Path(path).read_bytes()
  with av.open(path) as container:
    packets = [packet for packet in container.demux(video=0) if packet.size]
  times = sorted(packet.pts for packet in packets)
  found = {}
  for place in range(30, 40):
    packet = packets[place]
    broken = bytearray(data)
    broken[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / f'{place}.mp4').write_bytes(broken)
    contents = reader.scan(str(tmp_path / f'{place}.mp4'))
    # All that are shown before the first that the file no longer has.
    missing = min(later.pts for later in packets[place:])
    assert contents.num_frames >= times.index(missing)
    assert contents.num_frames <= times.index(packet.pts)
    assert contents.keys.size >= 2
    found[place] = contents
  no_fallback()
  for place, contents in found.items():
    numbers = list(range(contents.num_frames))
    assert_exact(str(tmp_path / f'{place}.mp4'), contents, truth, numbers)


def test_damage_where_timestamps_are_guesses_leaves_no_gap(
    tmp_path, make_video
):
  options = {'g': '12', 'bf': '2'}
  path = make_video(tmp_path / 'a.avi', 40, 'mpeg4', options=options)
  truth, data = decode_all(path), pathlib.Path(path).read_bytes()
  with av.open(path) as container:
    packets = [packet for packet in container.demux(video=0) if packet.size]
  for packet in packets[26:32]:
    broken = bytearray(data)
    broken[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    pathlib.Path(path).write_bytes(broken)
    contents = reader.scan(path)
    assert contents.num_frames > 20
    assert_exact(path, contents, truth, list(range(contents.num_frames)))


def test_header_that_claims_more_is_noted(tmp_path, make_video):
  data = pathlib.Path(
      make_video(tmp_path / 'a.webm', 100, 'libvpx', options={'g': '12'})
  ).read_bytes()
  cut = tmp_path / 'cut.webm'
  cut.write_bytes(data[: len(data) // 3])
  contents = reader.scan(str(cut))
  assert contents.num_frames < 50
  assert 'header claims 4.0 s' in contents.note


def write_audio(path):
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('aac', rate=44100)
    frame = av.AudioFrame.from_ndarray(
        np.zeros((1, 1024), np.float32), format='fltp', layout='mono'
    )
    frame.sample_rate = 44100
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def test_bad_files_are_named_with_a_reason(tmp_path, make_video):
  (tmp_path / 'empty.mp4').touch()
  (tmp_path / 'text.mp4').write_text('this is not a video\n' * 100)
  write_audio(tmp_path / 'sound.mp4')
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


def test_frames_that_went_away(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 60)
  contents = reader.scan(path)
  make_video(tmp_path / 'a.mp4', 30)
  with pytest.raises(reader.BrokenVideo, match=r'frames \[45\]'):
    reader.read(path, contents, [10, 45])
  with pytest.raises(IndexError, match='of 60'):
    reader.read(path, contents, [60])
  os.remove(path)
  with pytest.raises(reader.BrokenVideo, match='No such file'):
    reader.read(path, contents, [10])


def test_broken_video_crosses_processes():
  error = pickle.loads(pickle.dumps(reader.BrokenVideo('/a.mp4', 'cut short')))
  assert (error.path, error.reason) == ('/a.mp4', 'cut short')
  assert str(error) == '/a.mp4: cut short'


@pytest.mark.skipif(
    'RVM_TEST_VIDEOS' not in os.environ,
    reason='RVM_TEST_VIDEOS names no folder of videos',
)
def test_real_videos_are_exact():
  folder = pathlib.Path(os.environ['RVM_TEST_VIDEOS'])
  rng = np.random.default_rng(0)
  for path in sorted(folder.iterdir()):
    if path.suffix not in ('.avi', '.mkv', '.mov', '.mp4', '.webm'):
      continue
    truth = decode_all(str(path))
    contents = reader.scan(str(path))
    assert contents.num_frames == len(truth)
    for _ in range(10):
      numbers = rng.integers(0, len(truth), 8).tolist()
      assert_exact(str(path), contents, truth, numbers)
