"""DAVIS-2017 as tensorflow-datasets prepares it, read without TensorFlow."""

from collections.abc import Iterator
import io
import os
import struct

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import masked


def read(data_dir: str) -> list[masked.MaskedVideo]:
  """Lists the validation videos; the pictures are not decoded yet.

  Args:
    data_dir: davis/480p/2.1.0 with its dataset_info.json, in TFRecord (which
      is the default of tensorflow-datasets) or ArrayRecord files.

  Raises:
    ImportError: tensorflow-datasets is not installed.
    FileNotFoundError: names the file that is missing.
    ValueError: another data set, version or format; or a file that is cut off.
  """
  try:
    import tensorflow_datasets as tfds  # An extra; imports no TensorFlow.
  except ImportError as error:
    raise ImportError(
        f'{data_dir} was prepared by tensorflow-datasets; to read it, install'
        " them: pip install 'rvm_jax[tfds]'"
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
          f'{path} is missing; tensorflow-datasets prepares it anew'
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
  example = _parse(records[index])
  name = example['metadata/video_name'].bytes_list.value[0].decode()
  num_frames = len(example['video/frames'].bytes_list.value)

  def load():
    example = _parse(records[index])
    named = lambda key: [
        _name(io.BytesIO(data), f'{key} {i} of {name} in {paths[0]}')
        for i, data in enumerate(example[f'video/{key}'].bytes_list.value)
    ]
    return (
        files.read_frames(named('frames')),
        files.read_masks(named('segmentations')),
    )

  return masked.MaskedVideo(name, num_frames, tuple(paths), load)


def _parse(record):
  from tensorflow_datasets.proto import tf_example_pb2

  return tf_example_pb2.Example.FromString(record).features.feature


def _name(file, name):
  file.name = name
  return file


class _TFRecords:
  """Random access to the records of TFRecord files.

  A record is its length (8 bytes, little endian), a checksum of that (4), the
  data, and a checksum of those (4). Checksums are not looked at: a broken
  picture is refused when it is decoded.
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
  """Yields where each record's data starts, and its length."""
  size = os.path.getsize(path)
  at = 0
  with open(path, 'rb') as f:
    while at < size:
      f.seek(at)
      header = f.read(12)
      end = at + 16
      if len(header) == 12:
        length = struct.unpack('<Q', header[:8])[0]
        end += length
      if end > size:
        raise ValueError(f'{path} is cut off: {size} bytes, needs {end}')
      yield at + 12, length
      at = end
