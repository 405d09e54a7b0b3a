"""Decoding from the start or from a key frame gives what plain PyAV gives."""

import errno
import pickle
import types

import av
import numpy as np
import pytest

from rvm_jax.data.video import decoder
from tests import video_files

WITH_B_FRAMES = {'g': '12', 'bf': '3'}


def list_frames(path):
  """Returns (timestamp, is key frame, checksum) of each frame, by PyAV."""
  with av.open(path) as container:
    return [
        (frame.pts, frame.key_frame, decoder.checksum(frame))
        for frame in container.decode(video=0)
    ]


def overwrite(path, packet):
  """Replaces the data of a packet by zeros."""
  with open(path, 'r+b') as file:
    file.seek(packet.pos)
    file.write(bytes(packet.size))


def from_start(path):
  """Returns the checksums that `decoder.from_start` gives, and its error."""
  checksums = []
  try:
    with decoder.open_stream(path) as stream:
      for frame in decoder.from_start(stream):
        checksums.append(decoder.checksum(frame))
  except decoder.BrokenVideo as error:
    return checksums, error.reason
  return checksums, None


def from_key(path, key, wanted, aim=None):
  """Returns {timestamp: checksum} of the frames of `decoder.from_key`."""
  with decoder.open_stream(path) as stream:
    frames = decoder.from_key(
        stream, key, key if aim is None else aim, wanted, is_interlaced=False
    )
    return {frame.pts: decoder.checksum(frame) for frame in frames}


def test_open_stream_does_not_take_the_cover_of_a_song_for_a_video(tmp_path):
  path = str(tmp_path / 'song.mp4')
  with av.open(path, 'w') as container:
    sound = container.add_stream('aac', rate=44100)
    cover = container.add_stream('mjpeg')
    cover.width, cover.height, cover.pix_fmt = 32, 32, 'yuvj420p'
    cover.disposition = av.stream.Disposition.attached_pic
    pixels = video_files.picture(0, 32, 32)
    container.mux(cover.encode(av.VideoFrame.from_ndarray(pixels)))
    container.mux(cover.encode(None))
    silence = av.AudioFrame.from_ndarray(
        np.zeros((1, 1024), np.float32), format='fltp', layout='mono'
    )
    silence.sample_rate = 44100
    container.mux(sound.encode(silence))
    container.mux(sound.encode(None))
  with av.open(path) as container:
    assert len(container.streams.video) == 1
  with pytest.raises(decoder.BrokenVideo, match='no video stream') as error:
    with decoder.open_stream(path):
      pass
  assert error.value.path == path


@pytest.mark.parametrize(
    'wrong, reason',
    [
        (OSError(errno.EIO, 'Input/output error'), 'Input/output error'),
        (av.InvalidDataError(1, 'Invalid data'), 'Invalid data'),
    ],
)
def test_open_stream_names_the_file_of_errors_in_its_body(
    tmp_path, make_video, wrong, reason
):
  path = make_video(tmp_path / 'a.mp4', 5)
  with pytest.raises(decoder.BrokenVideo) as error:
    with decoder.open_stream(path):
      raise wrong
  assert (error.value.path, error.value.reason) == (path, reason)


def test_packets_end_with_an_empty_one(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 20, options=WITH_B_FRAMES)
  with decoder.open_stream(path) as stream:
    sizes = [packet.size for packet in decoder.packets(stream)]
  assert sizes == [packet.size for packet in video_files.list_packets(path)] + [
      0
  ]


@pytest.mark.parametrize(
    'number, expected', [(errno.EIO, ['empty']), (errno.ETIMEDOUT, [])]
)
def test_packets_of_a_failing_disk_end_with_an_empty_one_unless_it_recovers(
    monkeypatch, number, expected
):
  def demux(_):
    raise av.FFmpegError(number, 'failed')

  monkeypatch.setattr(decoder, '_ask_for_held', lambda stream: 'empty')
  stream = types.SimpleNamespace(container=types.SimpleNamespace(demux=demux))
  found = []
  with pytest.raises(av.FFmpegError, match='failed'):
    for packet in decoder.packets(stream):
      found.append(packet)
  assert found == expected


def test_from_start_gives_all_frames_in_order(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  expected = [checksum for *_, checksum in list_frames(path)]
  assert from_start(path) == (expected, None)
  assert len(set(expected)) == 40


def test_from_start_passes_over_damage_before_the_first_good_frame(
    tmp_path, make_video
):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  frames = list_frames(path)
  overwrite(path, video_files.list_packets(path)[0])
  found, error = from_start(path)
  second_key = [is_key for _, is_key, _ in frames].index(True, 1)
  assert error is None
  # All frames from the second key frame on are there, and perhaps some before.
  expected = [checksum for *_, checksum in frames[second_key:]]
  assert found[-len(expected) :] == expected and len(found) < 40


def test_from_start_raises_at_damage_after_all_frames_before_it(
    tmp_path, make_video
):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  frames = list_frames(path)
  packets = video_files.list_packets(path)
  overwrite(path, packets[20])
  found, error = from_start(path)
  assert error is not None
  # The frames that are shown before all frames of the damaged packet and of the
  # packets after it.
  missing = min(packet.pts for packet in packets[20:])
  whole = [checksum for pts, _, checksum in frames if pts < missing]
  assert found[: len(whole)] == whole and len(whole) > 15
  assert len(found) < 40


def test_from_key_gives_the_wanted_frames_of_every_group(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  frames = list_frames(path)
  expected = {pts: checksum for pts, _, checksum in frames}
  starts = [i for i, (_, is_key, _) in enumerate(frames) if is_key]
  assert len(starts) == 4
  for start, stop in zip(starts, [*starts[1:], 40]):
    key = frames[start][0]
    for numbers in ([start], range(start, stop), [stop - 1], [start + 2]):
      wanted = {frames[number][0] for number in numbers}
      found = from_key(path, key, wanted)
      assert found == {pts: expected[pts] for pts in wanted}
      assert list(found) == sorted(wanted)


def test_from_key_without_a_key_begins_at_the_start(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  frames = list_frames(path)
  wanted = {frames[3][0], frames[7][0]}
  assert from_key(path, None, wanted, aim=0) == {
      pts: checksum for pts, _, checksum in frames if pts in wanted
  }


def test_from_key_gives_nothing_where_the_key_frame_does_not_show_up(
    tmp_path, make_video
):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  frames = list_frames(path)
  starts = [i for i, (_, is_key, _) in enumerate(frames) if is_key]
  # First, `key` is not the timestamp of a key frame. Then it is that of a later
  # key frame, and the wanted frame comes before it.
  wrong, wanted = frames[starts[1] + 1][0], {frames[starts[1] + 3][0]}
  assert from_key(path, wrong, wanted) == {}
  after = frames[starts[2]][0]
  assert from_key(path, after, wanted, aim=0) == {}


@pytest.fixture
def decoded(monkeypatch):
  """A list that collects the timestamps of the frames that the test decodes."""
  timestamps = []
  true_decode = decoder._decode

  def recording(packet, **options):
    for frame in true_decode(packet, **options):
      timestamps.append(frame.pts)
      yield frame

  monkeypatch.setattr(decoder, '_decode', recording)
  return timestamps


def test_from_key_decodes_unreferenced_frames_only_if_wanted(
    tmp_path, make_video, decoded
):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  last = list_frames(path)[11][0]  # Before the second key frame.
  assert from_key(path, None, {last}, aim=0).keys() == {last}
  assert 3 <= len(decoded) < 10


def test_from_key_ends_at_the_next_key_frame_if_a_wanted_frame_is_missing(
    tmp_path, make_video, decoded
):
  path = make_video(tmp_path / 'a.mp4', 40, options=WITH_B_FRAMES)
  starts = [pts for pts, is_key, _ in list_frames(path) if is_key]
  assert from_key(path, starts[1], {starts[1] + 1}) == {}
  assert decoded[-1] == starts[2]


def test_rgb_gives_pyavs_pixels_for_any_width(tmp_path, make_video):
  for width in (96, 98, 90):
    path = make_video(tmp_path / f'{width}.mp4', 3, width=width)
    rgb = decoder.RGB()
    with decoder.open_stream(path) as stream:
      found = [rgb(frame).copy() for frame in decoder.from_start(stream)]
    np.testing.assert_array_equal(found, video_files.decode_all(path))


def test_shape_is_that_of_the_upright_frame():
  for rotation, expected in {0: (64, 96), 90: (96, 64), -180: (64, 96)}.items():
    frame = types.SimpleNamespace(height=64, width=96, rotation=rotation)
    assert decoder.shape(frame) == expected


def test_checksums_tell_frames_apart_and_ignore_padding(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 30, width=90)
  with av.open(path) as container:
    frames = list(container.decode(video=0))
  assert len({decoder.checksum(frame) for frame in frames}) == 30
  rows = np.frombuffer(frames[0].planes[0], np.uint8).reshape(64, -1)
  before = decoder.checksum(frames[0])
  assert rows.shape[1] > 90
  rows[:, 90:] ^= 255
  assert decoder.checksum(frames[0]) == before
  rows[4, 89] ^= 255
  assert decoder.checksum(frames[0]) != before


def test_broken_video_can_be_pickled():
  error = pickle.loads(pickle.dumps(decoder.BrokenVideo('/a.mp4', 'cut short')))
  assert (error.path, error.reason) == ('/a.mp4', 'cut short')
  assert str(error) == '/a.mp4: cut short'
