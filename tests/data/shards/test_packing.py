"""A shard holds the frames of its videos, and says what it leaves out."""

import collections
import csv
import dataclasses
import errno
import itertools

from array_record.python import array_record_module
import numpy as np
import pytest

from rvm_jax.data.shards import cutting
from rvm_jax.data.shards import layout
from rvm_jax.data.shards import packing
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import schema
from rvm_jax.data.video import decoder
from rvm_jax.data.video import sequential
from tests import video_files

pytest.importorskip('tensorflow_datasets')
SETTINGS = plan.Settings('jpeg', 95, 288, 8, 4, cuts=False)


def pack(tmp_path, place, settings=SETTINGS, crashing=()):
  """Packs a source into one shard.

  Returns:
    The records, the rows of the list of clips, (video, reason) of what is left
    out, and all that `packing.pack` yields.
  """
  paths = layout.list_paths(str(tmp_path), 0, 1)
  videos = plan.list_videos([str(place)])
  task = packing.Task(paths, settings, videos, frozenset(crashing))
  messages = list(packing.pack(task))
  reader = array_record_module.ArrayRecordReader(paths.records)
  records = list(
      map(schema.features().deserialize_example_np, reader.read_all())
  )
  with open(paths.clips, encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  with open(paths.left_out, encoding='utf-8') as file:
    _, *left_out = csv.reader(file)
  return records, rows, left_out, messages


@pytest.mark.parametrize('format_', ['jpeg', 'mp4'])
def test_frames_are_those_of_the_videos(tmp_path, folder, format_):
  settings = dataclasses.replace(
      SETTINGS, format=format_, quality=95 if format_ == 'jpeg' else 10
  )
  records, rows, left_out, messages = pack(tmp_path, folder, settings)
  found = [(r['video'].decode(), r['start'], r['num_frames']) for r in records]
  assert found == [
      ('a.mp4', 0, 8),
      ('a.mp4', 8, 8),
      ('bear', 0, 8),
      ('sub/b.mp4', 0, 8),
      ('sub/b.mp4', 8, 8),
      ('sub/b.mp4', 16, 4),
  ]
  assert [record['frame_rate'] for record in records] == [25] * 3 + [30] * 3
  for record in records:
    path = folder / record['video'].decode()
    frames = itertools.islice(
        sequential.decode(str(path), record['start']), record['num_frames']
    )
    size = settings.short_side, format_ == 'mp4'
    expected = np.array([cutting.scale(frame, *size) for frame in frames])
    got = schema.read(record, range(record['num_frames']))
    assert np.abs(got.astype(int) - expected).mean() < 6
  # The list says the same as the records.
  for row, record in zip(rows, records, strict=True):
    assert int(row['num_bytes']) == len(record['frames'])
    for name in set(row) - {'num_bytes', 'video', 'label'}:
      assert float(row[name]) == record[name]
    assert row['video'] == record['video'].decode()
  assert [video for video, _ in left_out] == ['bear', 'broken.mp4', 'short.mp4']
  assert left_out[0][1] == 'frames 8 to 9 are too short: 2 frames, needs 4'
  assert left_out[1][1] == 'Invalid data found when processing input'
  assert left_out[2][1] == 'frames 0 to 2 are too short: 3 frames, needs 4'
  # Progress, and the summary.
  *numbers, summary = messages
  assert numbers == [1, 2, 3, 4, 5]
  counts = {key: summary[key] for key in summary if key.startswith('num_')}
  width = 65 if format_ == 'jpeg' else 64
  sizes = collections.Counter({'64x48': 2, '64x96': 3})
  sizes[f'{width}x48'] += 1
  assert summary['sizes'] == sizes
  assert counts == {
      'num_clips': 6,
      'num_frames': 44,
      'num_bytes': sum(len(record['frames']) for record in records),
      'num_left_out': 3,
      'num_cuts': 0,
  }
  assert len(summary['psnr']) == 3 and min(summary['psnr']) > 25


def test_frames_are_reduced(tmp_path, folder):
  records, *_ = pack(
      tmp_path, folder / 'sub', dataclasses.replace(SETTINGS, short_side=32)
  )
  assert {(r['height'], r['width']) for r in records} == {(48, 32)}


def test_spans_of_a_manifest_are_cut_by_their_times(tmp_path, folder):
  manifest = tmp_path / 'm.csv'
  manifest.write_text(
      f'path,start,end,label\n{folder}/a.mp4,0.2,0.4,run\n{folder}/a.mp4,9,,\n'
  )
  records, rows, left_out, _ = pack(tmp_path, manifest)
  (record,) = records
  assert (record['start'], record['num_frames']) == (5, 5)
  assert record['label'] == b'run' and rows[0]['label'] == 'run'
  assert left_out == [[rows[0]['video'], 'start 9 s is past the end']]


def test_frames_before_damage_are_packed(tmp_path, make_video):
  path = make_video(tmp_path / 'a.mp4', 30, options={'g': '12', 'bf': '0'})
  packet = video_files.list_packets(path)[20]
  with open(path, 'r+b') as file:
    file.seek(packet.pos)
    file.write(bytes(packet.size))
  records, _, left_out, _ = pack(tmp_path, path)
  starts = [(record['start'], record['num_frames']) for record in records]
  assert starts == [(0, 8), (8, 8), (16, 4)]
  ((name, reason),) = left_out
  assert name == 'a.mp4' and reason.startswith('frame 20 is damaged: ')


def test_video_that_crashes_the_decoder_is_left_out(tmp_path, folder):
  records, _, left_out, _ = pack(tmp_path, folder / 'sub', crashing=[0])
  assert not records
  assert left_out == [['b.mp4', 'the decoder crashes']]


@pytest.mark.parametrize('number', [errno.ESTALE, errno.EIO])
def test_failing_disk_is_no_damage(tmp_path, folder, monkeypatch, number):
  def fail(path):
    error = decoder.BrokenVideo(path, 'no longer there')
    raise error from OSError(number, 'no longer there')

  monkeypatch.setattr(sequential, 'measure_rate', fail)
  with pytest.raises(OSError, match='no longer there.*b.mp4'):
    pack(tmp_path, folder / 'sub')
  assert not list(tmp_path.glob('[!.]*'))


def test_cuts_divide_clips_and_are_counted(tmp_path, monkeypatch, folder):
  class Detector:
    """Finds a cut before the sixth frame."""

    def __init__(self):
      self.num_cuts = self._number = 0

    def __call__(self, frame):
      self._number += 1
      self.num_cuts += self._number == 6
      return self._number == 6

  monkeypatch.setattr(cutting, 'CutDetector', Detector)
  records, _, left_out, messages = pack(
      tmp_path, folder / 'sub', dataclasses.replace(SETTINGS, cuts=True)
  )
  starts = [(record['start'], record['num_frames']) for record in records]
  assert starts == [(0, 5), (5, 8), (13, 7)]
  assert not left_out and messages[-1]['num_cuts'] == 1
