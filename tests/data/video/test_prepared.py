"""Videos of a set that tensorflow-datasets itself prepares."""

import io
import json
import shutil
import sys

import numpy as np
from PIL import Image
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import sources
from rvm_jax.data.shards import array_records
from rvm_jax.data.video import decoder
from rvm_jax.data.video import listing
from rvm_jax.data.video import pictures
from rvm_jax.data.video import prepared
from rvm_jax.data.video import reader
from rvm_jax.data.video import sequential
from tests import video_files


def frames_of(number):
  """Returns the frames of video `number`, uint8 [6 + number, 24, 32, 3]."""
  return np.stack(
      [video_files.picture(9 * number + i, 24, 32) for i in range(6 + number)]
  )


def encode(frame):
  file = io.BytesIO()
  Image.fromarray(frame).save(file, 'png')
  file.seek(0)
  return file


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Folder of a set with 4 videos in the split train and 1 in test."""
  tfds = pytest.importorskip('tensorflow_datasets')

  class TinyVideos(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      image = tfds.features.Image(shape=(None, None, 3))
      features = {
          'video': tfds.features.Sequence(image),
          'label': tfds.features.ClassLabel(names=['run', 'jump']),
      }
      return tfds.core.DatasetInfo(
          builder=self, features=tfds.features.FeaturesDict(features)
      )

    def _split_generators(self, dl_manager):
      return {
          'train': self._generate_examples(range(4)),
          'test': self._generate_examples([4]),
      }

    def _generate_examples(self, numbers):
      for number in numbers:
        frames = [encode(frame) for frame in frames_of(number)]
        yield number, {'video': frames, 'label': number % 2}

  builder = TinyVideos(
      data_dir=str(tmp_path_factory.mktemp('sets')), file_format='array_record'
  )
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
  )
  return str(builder.data_path)


def copy(folder, target, features=None):
  """Copies a set and returns its name as a source.

  Args:
    folder: folder of the set.
    target: folder of the copy.
    features: contents of features.json; None for those of the set.
  """
  shutil.copytree(folder, target)
  if features:
    (target / 'features.json').write_text(json.dumps(features))
  return f'tfds:{target}'


def test_videos_of_a_split_are_listed_and_read(folder):
  clips = listing.find(f'tfds:{folder}')
  assert len(clips) == 4 and len(set(clips)) == 4
  assert clips[0].path.endswith('/tiny_videos-train-00000-000000')
  (test,) = listing.find(f'tfds:{folder}:test')
  contents = reader.scan(test.path)
  assert (contents.num_frames, contents.frame_rate) == (10, 25.0)
  assert (contents.height, contents.width) == (24, 32)
  expected = frames_of(4)
  found = reader.read(test.path, contents, [9, 0, 3])
  assert np.array_equal(found, expected[[9, 0, 3]])
  decoded = [frame.copy() for frame in sequential.decode(test.path, 2)]
  assert np.array_equal(decoded, expected[2:])
  assert listing.folder_of(f'tfds:{folder}:test') == f'tfds:{folder}'
  assert 'tensorflow' not in sys.modules


def test_part_of_a_split_has_the_names_of_the_whole(folder):
  whole = prepared.list_videos(f'tfds:{folder}:train')
  assert prepared.list_videos(f'tfds:{folder}:train[1:3]') == whole[1:3]
  both = prepared.list_videos(f'tfds:{folder}:train+test')
  assert sorted(both) == sorted(
      [*whole, *prepared.list_videos(f'tfds:{folder}:test')]
  )


def test_prepared_set_is_a_source_whose_videos_have_different_draws(
    folder, warnings
):
  spacing = frame_sampling.Spacing(2, 1, 1, 1, 3, frame_rate=12.5)
  source = sources.find(f'tfds:{folder}', spacing, 0.0)
  assert source.num_clips == 4 and len(set(source._clips.draws)) == 4
  assert '4 of 4 videos' in warnings[0] and '25 a second' in warnings[0]
  lengths = {source[i].num_frames for i in range(len(source))}
  assert lengths == {6, 7, 8, 9}
  with pytest.raises(ValueError, match=f'tfds:{folder}'):
    sources.find(folder, spacing, 0.0)


def test_video_feature_and_dictionaries_of_sequences_are_found(
    folder, tmp_path
):
  image = {'image': {'shape': {'dimensions': ['-1', '-1', '3']}}}
  mask = {'image': {'shape': {'dimensions': ['-1', '-1', '1']}}}
  video = {'video': {'shape': {'dimensions': ['-1', '24', '32', '3']}}}
  one = {'featuresDict': {'features': {'video': video, 'thumbnail': image}}}
  place = copy(folder, tmp_path / 'a', one)
  assert reader.scan(prepared.list_videos(place)[0]).height == 24
  several = {'featuresDict': {'features': {'frames': image, 'masks': mask}}}
  davis = {
      'featuresDict': {
          'features': {'video': {'sequence': {'feature': several}}}
      }
  }
  copy(folder, tmp_path / 'b', davis)
  assert prepared._find_pictures(f'{tmp_path}/b') == 'video/frames'
  two = {'featuresDict': {'features': {'left': video, 'right': video}}}
  for name, features in {'c': two, 'd': image}.items():
    place = copy(folder, tmp_path / name, features)
    with pytest.raises(
        ValueError, match='expected one feature that is a Video'
    ):
      prepared.list_videos(place)


def test_sets_that_cannot_be_read_are_refused_with_the_reason(
    folder, tmp_path, monkeypatch
):
  with pytest.raises(ValueError, match='expected a folder with dataset_info'):
    prepared.list_videos(f'tfds:{tmp_path}')
  with pytest.raises(ValueError, match='a split of test, train, got val'):
    prepared.list_videos(f'tfds:{folder}:val')
  place = copy(folder, tmp_path / 'a')
  info = tmp_path / 'a' / 'dataset_info.json'
  info.write_text(info.read_text().replace('array_record', 'tfrecord'))
  with pytest.raises(ValueError, match='expected the format array_record, got'):
    prepared.list_videos(place)
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets', None)
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets.core', None)
  with pytest.raises(ImportError, match=r"pip install 'rvm_jax\[tfds\]'"):
    prepared.list_videos(f'tfds:{folder}')


def test_damaged_pictures_and_records_are_broken_videos(folder, tmp_path):
  place = copy(folder, tmp_path / 'a')
  first, second, *_ = prepared.list_videos(place)
  file = prepared.file_of(first)
  with open(file, 'r+b') as opened:
    content = opened.read()
    opened.seek(content.index(b'\x89PNG') + 40)
    opened.write(b'!!')
  array_records._open.cache_clear()
  with pytest.raises(decoder.BrokenVideo, match='hash mismatch') as error:
    pictures.measure(first)
  assert error.value.path == first
  assert pictures.measure(second)[1:] == (24, 32)
  with pytest.raises(decoder.BrokenVideo, match='as indexed, got'):
    prepared.read(second, 99, np.array([0]), np.empty((1, 24, 32, 3)))
