"""A complete set opens with tensorflow-datasets, and says what it holds."""

import hashlib
import json

import numpy as np
from PIL import Image
import pytest

from rvm_jax.data.shards import completion
from rvm_jax.data.shards import layout
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import schema
from rvm_jax.data.shards import writer as writer_lib
from rvm_jax.data.video import listing
from tests.data.shards import clips

tfds = pytest.importorskip('tensorflow_datasets')
SETTINGS = plan.Settings('jpeg', 90, 288, 8, 4, cuts=False)


def write(folder, number, nums_frames):
  """Writes one of two shards."""
  paths = layout.list_paths(str(folder), number, 2)
  writer = writer_lib.Writer(paths, SETTINGS)
  for i, num_frames in enumerate(nums_frames):
    video = plan.Video(f'{number}/{i}.mp4', listing.Clip('/a.mp4'))
    frames = clips.moving_frames(num_frames)
    writer.add(video, 0, 25.0, frames, is_sampled=i == 0)
  writer.leave_out('b.mp4', 'damaged')
  writer.finish()
  writer.clean_up()


def complete(folder):
  return completion.complete(str(folder), 2, SETTINGS, ['/videos'])


def test_set_is_completed_when_all_shards_are_there(tmp_path):
  write(tmp_path, 1, [4])
  assert complete(tmp_path) is None
  assert not (tmp_path / completion.NAME).exists()
  write(tmp_path, 0, [6, 5])
  contents = complete(tmp_path)
  assert json.loads((tmp_path / completion.NAME).read_text()) == contents
  assert [path.name for path in tmp_path.glob('.*')] == ['.lock']
  statistics = contents['statistics']
  assert statistics['num_clips'] == 3 and statistics['num_frames'] == 15
  assert statistics['hours'] == pytest.approx(15 / 25 / 3600)
  assert statistics['sizes'] == {'64x48': 3}
  assert statistics['psnr_frames'] == 2 and statistics['psnr_min'] > 30
  text = completion.describe(statistics)
  assert 'clips: 3,' in text and 'left out: 2, see left_out-*.csv' in text
  assert contents['schema_version'] == schema.SCHEMA_VERSION
  assert contents['sources'] == ['/videos']
  assert len(contents['files']) == 6
  for name, expected in contents['files'].items():
    content = (tmp_path / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == expected


def test_tensorflow_datasets_opens_the_set(tmp_path):
  # An empty shard, whose videos are all left out, is among them.
  write(tmp_path, 0, [])
  write(tmp_path, 1, [6, 5])
  complete(tmp_path)
  builder = tfds.builder_from_directory(str(tmp_path))
  assert builder.info.full_name == 'rvm_clips/1.0.0'
  source = builder.as_data_source('train')
  assert [e['video'] for e in source] == [b'1/0.mp4', b'1/1.mp4']
  frames = schema.read(source[1], [4, 0])
  expected = clips.moving_frames(5)[[4, 0]]
  assert np.abs(frames.astype(int) - expected).mean() < 3


def test_completing_again_changes_nothing(tmp_path):
  write(tmp_path, 0, [4])
  write(tmp_path, 1, [4])
  complete(tmp_path)
  before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
  complete(tmp_path)
  assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
  with Image.open(tmp_path / 'contact_sheet.jpg') as sheet:
    assert sheet.size == (2 * 160, 134)


def test_set_without_clips_is_refused(tmp_path):
  write(tmp_path, 0, [])
  write(tmp_path, 1, [])
  with pytest.raises(ValueError, match=r'no clips: all was left out.*left_out'):
    complete(tmp_path)
  assert not (tmp_path / completion.NAME).exists()
