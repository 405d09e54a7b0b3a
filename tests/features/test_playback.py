"""Tests that playback gives all good frames and notes what is missing."""

import errno
from http import server
import pathlib
import re
import threading
import types

import av
import numpy as np
import pytest

from rvm_jax.data.video import decoder
from rvm_jax.features import playback
from tests import video_files

# Key frames every 12 frames, and frames that refer to later ones.
WITH_B = {'g': '12', 'bf': '3'}
# Some packets hold frames that are never shown.
ALT_REF = {'auto-alt-ref': '1', 'lag-in-frames': '9'}
FORMATS = {
    'a.mp4': ('libx264', WITH_B, 'yuv420p'),
    'a.mkv': ('libx264', WITH_B, 'yuv420p'),
    'a.ts': ('libx264', WITH_B, 'yuv420p'),
    'a.avi': ('mjpeg', {}, 'yuvj420p'),
    'a.webm': ('libvpx', ALT_REF, 'yuv420p'),
}


@pytest.fixture
def make(tmp_path, make_video):
  def write(name, num_frames=60, **how):
    codec, options, pix_fmt = FORMATS[name]
    return make_video(
        tmp_path / name,
        num_frames,
        codec,
        options=options,
        pix_fmt=pix_fmt,
        **how,
    )

  return write


def decode(path):
  """Returns checksums of all frames by time in units of 1 / 25 s.

  The frames are decoded with PyAV alone, without `playback`.
  """
  with av.open(path) as container:
    return {
        round(25 * frame.time): decoder.checksum(frame)
        for frame in container.decode(video=0)
    }


def play(path):
  video = playback.Playback(path)
  found = [(frame.time, decoder.checksum(frame.picture)) for frame in video]
  assert video.num_frames == len(found)
  return found, video.notes()


def assert_frames_equal(found, expected):
  """Asserts that found frames have the expected content for their times."""
  for time, checksum in found:
    assert expected[round(25 * time)] == checksum


def overwrite(path, packet, data):
  """Replaces the bytes of a packet in the file."""
  with open(path, 'r+b') as file:
    file.seek(packet.pos)
    file.write(data)


def read_packets(path):
  """Returns all packets that hold data, in the order of the file."""
  with av.open(path) as container:
    return [p for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize('name', FORMATS)
def test_intact_video_has_no_note(make, name):
  path = make(name)
  expected_frames = decode(path)
  found, notes = play(path)
  assert_frames_equal(found, expected_frames)
  assert len(found) == len(expected_frames) == 60 and notes == []
  assert np.allclose(np.diff([time for time, _ in found]), 1 / 25, atol=2e-3)


def test_damage_costs_frames_up_to_the_next_key_frame_only(make):
  path = make('a.mp4')
  expected_frames = decode(path)
  in_file = read_packets(path)
  keys = [i for i, packet in enumerate(in_file) if packet.is_keyframe]
  bad = keys[2] - 4
  overwrite(path, in_file[bad], bytes(in_file[bad].size))
  times = [round(25 * float(p.pts * p.time_base)) for p in in_file]
  expected = set(times[:bad])
  expected |= {t for t in expected_frames if t >= times[keys[2]]}
  found, notes = play(path)
  assert_frames_equal(found, expected_frames)
  assert {round(25 * t) for t, _ in found} == expected
  assert 40 < len(expected) < 60
  damage, header = notes
  before, after = re.match(
      r'between frame \d+ \((.+) s\) and frame \d+ \((.+) s\): Invalid', damage
  ).groups()
  missing = set(expected_frames) - expected
  assert round(25 * float(before)) == min(missing) - 1
  assert round(25 * float(after)) == max(missing) + 1
  assert header == f'the header claims 60 frames, {len(found)} are good'


def test_damage_at_start_and_end_is_noted(make):
  path = make('a.avi')
  expected_frames = decode(path)
  in_file = read_packets(path)
  for place in (0, 1, 59):
    overwrite(path, in_file[place], bytes(in_file[place].size))
  found, notes = play(path)
  assert_frames_equal(found, expected_frames)
  assert [round(25 * time) for time, _ in found] == list(range(2, 59))
  assert notes[0].startswith('before frame 0 (0.08 s): Invalid data')
  assert notes[1].startswith('after the last, frame 56 (2.32 s): Invalid data')


def test_missing_packets_without_an_error_are_noted(make, tmp_path):
  source, path = make('a.mkv'), str(tmp_path / 'gap.mkv')
  with av.open(source) as container, av.open(path, 'w') as output:
    stream = output.add_stream_from_template(container.streams.video[0])
    for packet in container.demux(video=0):
      if packet.pts is not None and not 480 <= packet.pts < 960:
        packet.stream = stream
        output.mux(packet)
  found, notes = play(path)
  assert_frames_equal(found, decode(source))
  assert len(found) == 48
  (note,) = notes
  assert note == (
      'between frame 11 (0.44 s) and frame 12 (0.96 s): no frames for'
      ' longer than usual'
  )


def test_truncated_file_is_noted(make):
  for name, claim in (('a.avi', '60 frames'), ('a.webm', '2.4 s')):
    path = make(name)
    data = pathlib.Path(path).read_bytes()
    expected_frames = decode(path)
    pathlib.Path(path).write_bytes(data[: len(data) // 3])
    found, notes = play(path)
    assert_frames_equal(found, expected_frames)
    assert 5 < len(found) < 40
    assert f'the header claims {claim}' in notes[-1]


@pytest.fixture
def serve_half(monkeypatch):
  """Serves the first half of a file by HTTP, then breaks the connection."""
  monkeypatch.delenv('http_proxy', raising=False)
  opened = []

  def serve(path):
    data = pathlib.Path(path).read_bytes()

    class Handler(server.BaseHTTPRequestHandler):

      def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])

      def log_message(self, *_):
        pass

    opened.append(server.HTTPServer(('127.0.0.1', 0), Handler))
    threading.Thread(target=opened[-1].serve_forever, daemon=True).start()
    return f'http://127.0.0.1:{opened[-1].server_port}/{path}'

  yield serve
  for each in opened:
    each.shutdown()
    each.server_close()


def test_failing_disk_costs_no_frame_that_was_read_before(make, serve_half):
  path = make('a.mkv')
  failing = serve_half(path)
  data = pathlib.Path(path).read_bytes()
  pathlib.Path(path).write_bytes(data[: len(data) // 2])
  # Reading a file that ends there gives no error.
  expected, _ = play(path)
  found, notes = play(failing)
  assert found == expected and 20 < len(found) < 40
  time, _ = found[-1]
  last = f'after the last, frame {len(found) - 1} ({time:.6g} s)'
  assert f'{last}: Input/output error' in notes
  from_start = []
  with (
      pytest.raises(decoder.BrokenVideo, match='Input/output error'),
      decoder.open_stream(failing) as stream,
  ):
    for picture in decoder.from_start(stream):
      from_start.append(decoder.checksum(picture))
  assert from_start == [checksum for _, checksum in found]


def test_failure_of_a_disk_that_may_pass_is_raised_at_once():
  def demux(_):
    raise av.FFmpegError(errno.ESTALE, 'Stale file handle')

  stream = types.SimpleNamespace(container=types.SimpleNamespace(demux=demux))
  with pytest.raises(av.FFmpegError, match='Stale'):
    # The first packet would be an empty one if the rest of the file were given
    # up.
    next(decoder.packets(stream))


def test_uneven_and_absent_timestamps_are_noted(make, tmp_path, make_video):
  times = np.cumsum([1, 1, 1, 3] * 15).tolist()
  found, notes = play(make('a.mkv', times=times))
  assert [round(25 * time) for time, _ in found] == times
  assert 'the timestamps are uneven' in notes[0] and len(notes) == 1
  raw = make_video(tmp_path / 'raw.h264', 30, options=WITH_B)
  found, notes = play(raw)
  assert np.isnan([time for time, _ in found]).all() and len(found) == 30
  assert notes == ['30 of 30 frames have no timestamp']


def test_frames_of_another_size_are_noted(tmp_path, make_video):
  path = tmp_path / 'joined.h264'
  for width in (96, 64, 96):
    part = make_video(tmp_path / 'part.h264', 20, width=width)
    with open(path, 'ab') as file:
      file.write(pathlib.Path(part).read_bytes())
  found, notes = play(str(path))
  assert len(found) == 40
  (note,) = notes[1:]
  assert note == (
      'between frame 19 (nan s) and frame 20 (nan s): frames of another size,'
      ' 64 x 64 pixels'
  )


def test_folder_gives_its_good_pictures_and_notes_the_others(tmp_path):
  frames = [video_files.picture(number, 24, 32) for number in range(6)]
  folder = video_files.write_folder(tmp_path / 'bear', frames, '{}.png')
  video_files.write_folder(tmp_path / 'bear', [frames[5][:16]], '4.png')
  (tmp_path / 'bear' / '2.png').write_bytes(b'no picture')
  video = playback.Playback(folder)
  found = list(video)
  assert np.isnan([frame.time for frame in found]).all()
  rgb = decoder.RGB()
  for frame, number in zip(found, (0, 1, 3, 5), strict=True):
    assert np.array_equal(rgb(frame.picture), frames[number])
  missing, first, second = video.notes()
  assert missing == '4 of 4 frames have no timestamp'
  assert first.endswith('frame 2 (nan s): 2.png is not a picture')
  assert second.endswith('frames of another size, 32 x 16 pixels')
  assert video.num_claimed == 6
  for path in (tmp_path / 'bear').iterdir():
    path.write_bytes(b'no picture')
  with pytest.raises(decoder.BrokenVideo, match='no frame in it decodes'):
    play(folder)


def test_file_that_is_no_video_is_broken(tmp_path):
  (tmp_path / 'text.mp4').write_text('no video')
  for name, reason in (
      ('text.mp4', 'Invalid data'),
      ('missing.mp4', 'No such file'),
  ):
    with pytest.raises(decoder.BrokenVideo, match=f'{name}: {reason}'):
      play(str(tmp_path / name))


def test_video_without_a_good_frame_is_broken(make):
  path = make('a.avi', 5)
  for packet in read_packets(path):
    overwrite(path, packet, bytes(packet.size))
  with pytest.raises(decoder.BrokenVideo, match='no frame in it decodes'):
    play(path)
