"""Tests the reader of DAVIS in folders made by tensorflow-datasets' builder."""

import sys
import types

import numpy as np
from PIL import Image
import pytest
from tensorboardX import record_writer

from rvm_jax.evals.datasets import davis as davis_lib

NAME = 'davis-validation.{}-00000-of-00001'


@pytest.fixture
def prepared(davis, tmp_path, monkeypatch):
  """Returns the folder that the builder writes, with ArrayRecord files."""
  tfds = pytest.importorskip('tensorflow_datasets')
  from tensorflow_datasets.video.davis import davis as builder_lib

  root, _ = davis
  names = root / 'ImageSets/2017'
  (names / 'train.txt').write_text((names / 'val.txt').read_text())
  builder = builder_lib.Davis(
      config='480p', data_dir=str(tmp_path), file_format='array_record'
  )
  # The builder must not download anything, and must get masks as images: only
  # TensorFlow could encode arrays.
  local = types.SimpleNamespace(download_and_extract=lambda _: root.parent)
  split = builder._split_generators
  monkeypatch.setattr(
      builder, '_split_generators', lambda dl_manager: split(local)
  )
  monkeypatch.setattr(builder_lib, '_read_annotation', Image.open)
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
  )
  return tmp_path / 'davis/480p/2.1.0'


@pytest.fixture
def as_tfrecord(prepared):
  """Returns the prepared folder, with the records in a TFRecord file."""
  from array_record.python import array_record_module

  source = prepared / NAME.format('array_record')
  records = array_record_module.ArrayRecordReader(str(source)).read_all()
  writer = record_writer.RecordWriter(str(prepared / NAME.format('tfrecord')))
  for record in records:
    writer.write(record)
  writer.close()
  source.unlink()
  info = prepared / 'dataset_info.json'
  info.write_text(info.read_text().replace('array_record', 'tfrecord'))
  return prepared


@pytest.mark.parametrize('form', ['prepared', 'as_tfrecord'])
def test_read_returns_the_same_frames_and_masks_as_from_folders(
    davis, form, request
):
  folder = request.getfixturevalue(form)
  videos = {video.name: video for video in davis_lib.read(str(folder))}
  expected = davis_lib.read(str(davis[0]))
  assert sorted(videos) == [video.name for video in expected]
  for wanted in expected:
    found = videos[wanted.name]
    assert found.num_frames == 6
    assert [path.rsplit('/')[-1][:16] for path in found.files] == [NAME[:16]]
    for a, b in zip(found.read(), wanted.read()):
      np.testing.assert_array_equal(a, b)
  assert 'tensorflow' not in sys.modules


def test_read_refuses_incomplete_files_and_other_data_sets(as_tfrecord):
  path = as_tfrecord / NAME.format('tfrecord')
  good = path.read_bytes()
  for size in (len(good) - 3, len(good) // 2, 5):
    path.write_bytes(good[:size])
    with pytest.raises(ValueError, match=f'{path} is cut off: {size} bytes'):
      davis_lib.read(str(as_tfrecord))
  path.unlink()
  with pytest.raises(FileNotFoundError, match=f'{path} is missing'):
    davis_lib.read(str(as_tfrecord))
  info = as_tfrecord / 'dataset_info.json'
  info.write_text(info.read_text().replace('2.1.0"\n', '2.0.0"\n'))
  with pytest.raises(ValueError, match='2.1.0 of .*, got davis/480p/2.0.0'):
    davis_lib.read(str(as_tfrecord))


def test_read_says_which_package_to_install(tmp_path, monkeypatch):
  (tmp_path / 'dataset_info.json').write_text('{}')
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets', None)
  with pytest.raises(ImportError, match=r"pip install 'rvm_jax\[tfds\]'"):
    davis_lib.read(str(tmp_path))
