"""DAVIS-2017 as tensorflow-datasets prepares it, read without TensorFlow."""

from collections.abc import Iterator
import io
import os
import struct

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import masked


def read(data_dir: str) -> list[masked.MaskedVideo]:
  """Lists the validation videos.

  Args:
    data_dir: the folder davis/480p/2.1.0 with dataset_info.json in it. The data
      are in TFRecord files, the default of tensorflow-datasets, or in
      ArrayRecord files.

  Returns:
    The videos, in the order of the files. No image is decoded yet.

  Raises:
    ImportError: tensorflow-datasets is not installed.
    FileNotFoundError: a file is missing; the error names it.
    ValueError: the folder holds another data set or version, or a file is cut
      off.
  """
  try:
    # An optional dependency. Reading files as below does not make it import
    # TensorFlow.
    import tensorflow_datasets as tfds
  except ImportError as error:
    raise ImportError(
        f'{data_dir} was prepared by tensorflow-datasets; to read it, install'
        " that package: pip install 'rvm_jax[tfds]'"
    ) from error
  builder = tfds.builder_from_directory(data_dir)
  info = builder.info
  found = f'{info.name}/{info.config_name}/{info.version}'
  if found != 'davis/480p/2.1.0':
    raise ValueError(
        f'{data_dir} must hold davis/480p/2.1.0 of tensorflow-datasets, got'
        f' {found}'
    )
  paths = [os.fspath(path) for path in info.splits['validation'].filepaths]
  for path in paths:
    if not os.path.isfile(path):
      raise FileNotFoundError(
          f'{path} is missing; prepare the data set again with'
          ' tensorflow-datasets'
      )
  if info.file_format.value == 'tfrecord':
    records = _TFRecords(paths)
  else:
    records = builder.as_data_source(
        'validation',
        deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
    )
  return [_open(records, i, paths) for i in range(len(records))]


def _open(records, index, paths):
  """Returns the video of a record.

  Args:
    records: the records of all files, a sequence of bytes.
    index: index of the record.
    paths: paths of all files.
  """
  features = _parse(records[index])
  name = features['metadata/video_name'].bytes_list.value[0].decode()
  num_frames = len(features['video/frames'].bytes_list.value)

  def load():
    # The record is read again, because the images of all videos together would
    # fill the memory.
    features = _parse(records[index])
    frames, masks = (
        _open_images(features, key, f'{name} in {os.path.dirname(paths[0])}')
        for key in ('frames', 'segmentations')
    )
    return files.read_frames(frames), files.read_masks(masks)

  return masked.MaskedVideo(name, num_frames, tuple(paths), load)


def _parse(record):
  """Returns the features of a record, by name."""
  from tensorflow_datasets.proto import tf_example_pb2

  return tf_example_pb2.Example.FromString(record).features.feature


def _open_images(features, key, video):
  """Returns the images of a video as open files, with names for errors."""
  images = []
  for i, data in enumerate(features[f'video/{key}'].bytes_list.value):
    image = io.BytesIO(data)
    image.name = f'{key} {i} of {video}'
    images.append(image)
  return images


class _TFRecords:
  """Random access to the records of TFRecord files.

  A record is the length of its data (8 bytes, little endian), a checksum of the
  length (4 bytes), the data, and a checksum of the data (4 bytes). Checksums
  are not verified: a damaged image is refused when it is decoded.
  """

  def __init__(self, paths):
    self._places = [
        (path, *place) for path in paths for place in _find_records(path)
    ]

  def __len__(self) -> int:
    return len(self._places)

  def __getitem__(self, index: int) -> bytes:
    path, start, length = self._places[index]
    with open(path, 'rb') as f:
      f.seek(start)
      return f.read(length)


def _find_records(path: str) -> Iterator[tuple[int, int]]:
  """Yields the offset and the length in bytes of each record's data in a file.

  Raises:
    ValueError: the file ends within a record.
  """
  size = os.path.getsize(path)
  start = 0
  with open(path, 'rb') as f:
    while start < size:
      f.seek(start)
      # Length and checksums take 16 bytes. A header that is cut off cannot give
      # the length, but shows that the file is too short for these.
      header = f.read(12)
      end = start + 16
      if len(header) == 12:
        length = struct.unpack('<Q', header[:8])[0]
        end += length
      if end > size:
        raise ValueError(f'{path} is cut off: {size} bytes, needs {end}')
      yield start + 12, length
      start = end
