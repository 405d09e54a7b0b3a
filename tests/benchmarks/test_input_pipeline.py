"""Tests of the tables of `input_pipeline.py`, on small files."""

import json
import pathlib

import numpy as np
import pytest

from rvm_jax.data.video import reader
from tests import video_files

FOLDER = pathlib.Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture
def modules(monkeypatch):
  """Returns `formats` and `input_pipeline`, with small samples."""
  monkeypatch.syspath_prepend(str(FOLDER))
  import formats  # pylint: disable=g-import-not-at-top
  import input_pipeline  # pylint: disable=g-import-not-at-top

  monkeypatch.setattr(input_pipeline, 'SIZE', 32)
  monkeypatch.setattr(input_pipeline, 'BATCH_SIZE', 2)
  return formats, input_pipeline


def test_every_format_has_its_tables(modules, tmp_path, make_video, capsys):
  _, input_pipeline = modules
  (tmp_path / 'videos').mkdir()
  make_video(tmp_path / 'videos' / 'a.mp4', 70, options={'g': '12'})
  frames = [video_files.picture(number, 48, 80) for number in range(60)]
  video_files.write_folder(tmp_path / 'frames' / 'bear', frames, '{:05d}.jpg')
  places = [str(tmp_path / name) for name in ('videos', 'frames')]
  input_pipeline.main([*places, '--num_samples=1', '--num_batches=1'])
  out = capsys.readouterr().out
  for name in ('| a.mp4 (video) |', '| bear (frames) |', '| this project |'):
    assert name in out
  assert out.count('| stream of batches |') == 2
  # The rates and the sizes of the chips are those of the plans.
  plan = json.loads((FOLDER / 'pods' / 'small.v6e-256.json').read_text())
  least = 8 / plan['estimated_seconds']
  most = 8 / plan['least_seconds']
  assert out.count(f'| S | {least:.0f} to {most:.0f} |') == 2


def test_frames_that_differ_from_sequential_decoding_end_the_benchmark(
    modules, tmp_path, make_video, monkeypatch
):
  formats, input_pipeline = modules
  make_video(tmp_path / 'a.mp4', 70)

  def read_wrongly(record, place, numbers):
    return record.read(np.maximum(numbers - 1, 0))

  monkeypatch.setattr(formats, 'read_record', read_wrongly)
  with pytest.raises(SystemExit, match='our frames .* differ'):
    input_pipeline.main([str(tmp_path), '--num_samples=1'])


def test_a_way_that_fails_is_left_out(modules, capsys):
  formats, input_pipeline = modules
  clock = formats.Clock()

  def fail(place, numbers):
    raise RuntimeError('no FFmpeg')

  ways = {formats.OURS: np.add, formats.SEQUENTIAL: np.add, 'other': fail}
  assert len(formats.read(clock, ways, 1, 1, 2)) == 2
  good, bad = [
      input_pipeline.Row(name, 1, {'a': 0.5, **other}, 1.0, {'a': 0.0, **other})
      for name, other in (('x', {'b': 0.25}), ('y', {}))
  ]
  input_pipeline.print_ways([good, bad])
  lines = capsys.readouterr().out.splitlines()
  assert lines[-3:] == [
      '| x | 2.0 | 4.0 |',
      '| y | 2.0 | - |',
      '| as many samples of each | 2.0 | - |',
  ]


def test_fetch_returns_encoded_bytes(modules, tmp_path, make_video):
  formats, _ = modules
  path = make_video(tmp_path / 'a.mp4', 50, options={'g': '10', 'bf': '0'})
  place = formats.Place(path, 0, reader.scan(path))
  # There are no B-frames, so these are the packets of frames 20 (the key frame)
  # to 25.
  assert len(formats.fetch_packets(place, np.array([23, 25]))) == 6
  frames = [video_files.picture(number, 32, 32) for number in range(3)]
  folder = video_files.write_folder(tmp_path / 'b', frames)
  place = formats.Place(folder, 1, reader.scan(folder))
  pieces = formats.fetch_pictures(place, np.array([0, 1]))
  found = formats.decode_pillow(pieces)
  assert np.array_equal(found, np.stack(frames[1:]))
