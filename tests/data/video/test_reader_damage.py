"""A damaged file is usable up to the damage, and read exactly up to there."""

import pathlib

import numpy as np
import pytest

from rvm_jax.data.video import reader
from tests import video_files
from tests.data.video import exact


def test_truncated_file_is_usable_up_to_the_cut(tmp_path, make_video):
  whole = make_video(tmp_path / 'a.avi', 60, 'mjpeg', pix_fmt='yuvj420p')
  expected = video_files.decode_all(whole)
  data = pathlib.Path(whole).read_bytes()
  cut = tmp_path / 'cut.avi'
  cut.write_bytes(data[: len(data) // 2])
  contents = reader.scan(str(cut))
  assert 20 < contents.num_frames < 40
  assert contents.note
  numbers = list(range(contents.num_frames))
  exact.assert_exact(str(cut), contents, expected, numbers)


def test_file_is_usable_up_to_damage_in_the_middle(tmp_path, make_video):
  path = make_video(tmp_path / 'a.avi', 60, 'mpeg4', options={'g': '12'})
  expected = video_files.decode_all(path)
  with open(path, 'r+b') as file:
    file.seek(file.seek(0, 2) // 2)
    file.write(np.random.default_rng(0).bytes(200))
  contents = reader.scan(path)
  assert 0 < contents.num_frames < 59
  assert 'is damaged' in contents.note
  exact.assert_exact(path, contents, expected, list(range(contents.num_frames)))


@pytest.mark.parametrize(
    'name', ['open_gop.mp4', 'mpeg4.mp4', 'open_gop_hevc.mp4']
)
def test_frames_held_back_by_the_decoder_at_damage_are_usable(
    tmp_path, make_video, no_fallback, name
):
  codec, options, pix_fmt = exact.FORMATS[name]
  path = make_video(
      tmp_path / name, 40, codec, options=options, pix_fmt=pix_fmt
  )
  expected, data = video_files.decode_all(path), pathlib.Path(path).read_bytes()
  packets = video_files.list_packets(path)
  times = sorted(packet.pts for packet in packets)
  found = {}
  for place in range(30, 40):
    packet = packets[place]
    broken = bytearray(data)
    broken[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / f'{place}.mp4').write_bytes(broken)
    contents = reader.scan(str(tmp_path / f'{place}.mp4'))
    # All frames are usable that are shown before every frame of the damaged
    # packet and of the packets after it.
    missing = min(later.pts for later in packets[place:])
    assert contents.num_frames >= times.index(missing)
    assert contents.num_frames <= times.index(packet.pts)
    assert contents.key_frames.size >= 2
    found[place] = contents
  no_fallback()
  for place, contents in found.items():
    numbers = list(range(contents.num_frames))
    exact.assert_exact(
        str(tmp_path / f'{place}.mp4'), contents, expected, numbers
    )


def test_usable_frames_have_no_gap_where_timestamps_are_guesses(
    tmp_path, make_video
):
  options = {'g': '12', 'bf': '2'}
  path = make_video(tmp_path / 'a.avi', 40, 'mpeg4', options=options)
  expected, data = video_files.decode_all(path), pathlib.Path(path).read_bytes()
  packets = video_files.list_packets(path)
  for packet in packets[26:32]:
    broken = bytearray(data)
    broken[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    pathlib.Path(path).write_bytes(broken)
    contents = reader.scan(path)
    assert contents.num_frames > 20
    exact.assert_exact(
        path, contents, expected, list(range(contents.num_frames))
    )


def test_note_says_that_the_header_claims_more_than_decodes(
    tmp_path, make_video
):
  data = pathlib.Path(
      make_video(tmp_path / 'a.webm', 100, 'libvpx', options={'g': '12'})
  ).read_bytes()
  cut = tmp_path / 'cut.webm'
  cut.write_bytes(data[: len(data) // 3])
  contents = reader.scan(str(cut))
  assert contents.num_frames < 50
  assert 'header claims 4.0 s' in contents.note
