"""A catalog lists the clips of a set; incomplete or wrong sets are refused."""

import json

import pytest

from rvm_jax.data.shards import catalog


def test_catalog_has_the_clips_in_the_order_of_their_records(packed_once):
  found = catalog.read(str(packed_once))
  assert catalog.is_packed(str(packed_once))
  videos = [found.video(clip) for clip in range(len(found))]
  # Shard k of 2 holds every second video.
  assert videos == ['a.mp4', 'sub/b.mp4', 'bear']
  assert found.nums_frames.tolist() == [16, 16, 10]
  assert found.rates.tolist() == [25.0, 30.0, 25.0]
  path, number = found.locate(1)
  assert path.endswith('array_record-00000-of-00002') and number == 1
  assert found.count_needed(5, 15.0).tolist() == [8, 9, 8]


def test_folder_of_videos_is_no_packed_set(tmp_path):
  assert not catalog.is_packed(str(tmp_path))
  assert not catalog.is_packed(f'{tmp_path}/*.mp4')
  assert not catalog.is_packed('tfds:/data')
  with pytest.raises(ValueError, match='s3://a/b must be on a disk or begin'):
    catalog.is_packed('s3://a/b')


def test_incomplete_and_other_sets_are_refused(packed):
  (packed / 'rvm_clips.json').unlink()
  with pytest.raises(
      ValueError, match='not complete: .* run the command that packs it'
  ):
    catalog.is_packed(str(packed))
  for path in packed.glob('rvm_clips-*'):
    path.unlink()
  with pytest.raises(ValueError, match=f'name it as tfds:{packed}'):
    catalog.is_packed(str(packed))


def test_other_schema_versions_are_refused(packed):
  path = packed / 'rvm_clips.json'
  path.write_text('{"schema_version": 2, "parts": []}')
  with pytest.raises(
      ValueError, match='expected schema version 1, got 2: pack'
  ):
    catalog.read(str(packed))
  path.write_text('{"schema_')
  with pytest.raises(ValueError, match='rvm_clips.json is damaged'):
    catalog.read(str(packed))


def test_files_that_do_not_fit_together_are_refused(packed):
  shard = packed / 'rvm_clips-train.array_record-00001-of-00002'
  records = shard.read_bytes()
  table = packed / 'clips-00001-of-00002.csv'
  text = table.read_text()
  table.write_text(text.replace(',25.0,', ',24.0,').replace(',30.0,', ',24.0,'))
  with pytest.raises(ValueError, match='clips-00001-.* expected the SHA-256'):
    catalog.read(str(packed))
  table.write_text(text)
  shard.write_bytes(records[:5000])
  with pytest.raises(ValueError, match='-00001-of-00002: expected at least'):
    catalog.read(str(packed))
  shard.unlink()
  with pytest.raises(ValueError, match='is missing: copy the whole set'):
    catalog.read(str(packed))


def test_lists_of_clips_without_a_hash_are_refused(packed):
  path = packed / 'rvm_clips.json'
  summary = json.loads(path.read_text())
  for table in packed.glob('clips-*.csv'):
    table.write_text(table.read_text().splitlines()[0] + '\n')
    del summary['files'][table.name]
  path.write_text(json.dumps(summary))
  with pytest.raises(ValueError, match='expected the SHA-256 None'):
    catalog.read(str(packed))
