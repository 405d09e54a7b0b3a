"""Videos in sets that tensorflow-datasets prepared, as tfds:/data/ucf101/2.0.0.

In such a set a video is one record of an array_record file, with a picture for
each frame (PNG or JPEG). A set has one feature of this kind: `Video`, or a
`Sequence` of `Image`. TensorFlow is not needed.

The rest of this package knows a video by its path. The path of a video of a set
consists of the path of its array_record file and a unique name, which ends in
the number of the record:

  tfds:/data/ucf101/2.0.0/ucf101-train.array_record-00003-of-00016/
      ucf101-train-00003-000017
"""

from collections.abc import Iterator, Mapping
import functools
import io
import json
import os
import re
from typing import Any

import numpy as np

from rvm_jax.data.shards import array_records
from rvm_jax.data.shards import examples
from rvm_jax.data.video import decoder
from rvm_jax.data.video import sequences

_PREFIX = 'tfds:'
# A folder, and optionally a split such as train, train+test or train[:10%].
_PLACE = re.compile(r'tfds:(.*?)(?::([A-Za-z_][\w+]*(?:\[[^\]]*\])?))?')
_SHARD = re.compile(r'\.array_record-(\d+)-of-\d+$')


def is_prepared(path: str) -> bool:
  """Returns whether a path is that of a prepared set, or of a video in one."""
  return path.startswith(_PREFIX)


def list_videos(place: str) -> list[str]:
  """Returns the paths of the videos of a set, in the order of its records.

  Args:
    place: 'tfds:DIR' or 'tfds:DIR:SPLIT'. DIR is the folder that holds
      dataset_info.json. SPLIT is a split in the notation of
      tensorflow-datasets, such as 'train[:10%]'; 'train' if it is not given.

  Raises:
    ImportError: tensorflow-datasets is not installed.
    ValueError: the folder holds no set that can be read, or the set has no such
      split.
  """
  folder = folder_of(place).removeprefix(_PREFIX)
  split = _PLACE.fullmatch(place)[2] or 'train'
  if not os.path.isfile(os.path.join(folder, 'dataset_info.json')):
    raise ValueError(
        f'{place}: expected a folder with dataset_info.json, which'
        f' tensorflow-datasets writes, on a disk, got {folder}'
    )
  _find_pictures(folder)
  try:
    # An optional dependency, which does not import TensorFlow for this. The
    # features of the set are left alone, because Video needs TensorFlow.
    from tensorflow_datasets.core import dataset_info
    from tensorflow_datasets.core import naming
    from tensorflow_datasets.core import splits
  except ImportError as error:
    raise ImportError(
        f'{place} was prepared by tensorflow-datasets; to read it, install'
        " them: pip install 'rvm_jax[tfds]'"
    ) from error
  info = dataset_info.read_proto_from_builder_dir(folder)
  if info.file_format != 'array_record':
    raise ValueError(
        f'{place}: expected the format array_record, got {info.file_format}:'
        ' prepare the set with --file_format=array_record'
    )
  template = naming.ShardedFileTemplate(
      dataset_name=info.name,
      data_dir=folder,
      filetype_suffix=info.file_format,
  )
  known = splits.SplitDict.from_proto(info.splits, template)
  try:
    parts = known[split].file_instructions
  except (KeyError, ValueError) as error:
    raise ValueError(
        f'{place}: expected a split of {", ".join(sorted(known))}, got {split}'
    ) from error
  return [
      _path(os.fspath(part.filename), number)
      for part in parts
      for number in range(part.skip, part.skip + part.take)
  ]


def folder_of(place: str) -> str:
  """Returns 'tfds:' and the absolute path of the folder of a set.

  The paths of all videos of the set begin with it.

  Args:
    place: the set, as `list_videos` takes it.
  """
  folder = _PLACE.fullmatch(place)[1]
  return _PREFIX + os.path.abspath(os.path.expanduser(folder))


def file_of(path: str) -> str:
  """Returns the path of the file that holds a video of a set."""
  return _split(path)[0]


def decode_all(path: str) -> Iterator[np.ndarray]:
  """Yields the frames of a video in order, RGB, uint8 [H, W, 3].

  Raises:
    BrokenVideo: a frame cannot be read, or has another size than the first.
  """
  shape = None
  for number, picture in enumerate(_load(path)):
    pixels = _decode(path, number, picture, shape)
    shape = pixels.shape
    yield pixels


def read(path: str, num_frames: int, numbers: np.ndarray, images: np.ndarray):
  """Reads frames of a video, and decodes no others.

  Args:
    path: path of the video.
    num_frames: number of frames that the video had when it was indexed.
    numbers: numbers of the n frames to read, int64 [n].
    images: array to which the frames are written, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: a frame cannot be read, or the video has another number of
      frames, or frames of another size, than when it was indexed.
  """
  pictures = _load(path)
  if len(pictures) != num_frames:
    raise decoder.BrokenVideo(
        path, f'expected {num_frames} frames, as indexed, got {len(pictures)}'
    )
  for image, number in zip(images, numbers.tolist()):
    image[:] = _decode(path, number, pictures[number], image.shape)


def _path(file: str, number: int) -> str:
  """Returns the path of the video in record `number` of a file."""
  name = _SHARD.sub(r'-\1', os.path.basename(file))
  return f'{_PREFIX}{file}/{name}-{number:06d}'


def _split(path: str) -> tuple[str, int]:
  """Returns the file that a video is in, and the number of its record."""
  file, name = path.removeprefix(_PREFIX).rsplit('/', 1)
  return file, int(name.rsplit('-', 1)[1])


def _load(path: str) -> list[memoryview]:
  """Returns the encoded pictures of a video's frames, as views of its record.

  Raises:
    BrokenVideo: the record cannot be read, or holds no video.
  """
  file, number = _split(path)
  try:
    lists = examples.split(array_records.read(file, number))
    return examples.strings(lists[_find_pictures(os.path.dirname(file))])
  except (decoder.BrokenVideo, ValueError, KeyError) as error:
    reason = getattr(error, 'reason', None) or f'no video in it: {error}'
    raise decoder.BrokenVideo(path, reason) from error


def _decode(
    path: str,
    number: int,
    picture: memoryview,
    shape: tuple[int, ...] | None,
) -> np.ndarray:
  """Decodes a frame and checks its shape.

  Args:
    path: path of the video.
    number: number of the frame.
    picture: the encoded picture, a JPEG or PNG file.
    shape: expected shape of the frame; None for any shape.

  Returns:
    The frame, RGB, uint8 [H, W, 3].

  Raises:
    BrokenVideo: the frame cannot be decoded, or has another shape.
  """
  name = f'frame {number}'
  pixels = sequences.decode_file(io.BytesIO(picture), path, name)
  sequences.check_shape(path, name, pixels, shape or pixels.shape)
  return pixels


@functools.lru_cache(maxsize=64)
def _find_pictures(folder: str) -> str:
  """Returns the name of the feature of a set that holds videos.

  Raises:
    ValueError: the set has no such feature, or several.
  """
  path = os.path.join(folder, 'features.json')
  with open(path, encoding='utf-8') as file:
    found = dict(_list_pictures(json.load(file), ''))
  # Pictures with one channel beside pictures with three are masks.
  names = [name for name in found if found[name] != '1'] or list(found)
  if len(names) != 1:
    raise ValueError(
        f'{path}: expected one feature that is a Video or a Sequence of Image,'
        f' got {", ".join(names) or "none"}'
    )
  return names[0]


def _list_pictures(
    feature: Mapping[str, Any], name: str
) -> Iterator[tuple[str, str]]:
  """Yields (name, number of channels) of each feature that is a video.

  Args:
    feature: a feature, as features.json describes it.
    name: name of the feature in the set; '' for the set itself.
  """
  if 'featuresDict' in feature:
    for key, part in feature['featuresDict']['features'].items():
      yield from _list_pictures(part, f'{name}/{key}'.lstrip('/'))
  elif 'video' in feature:
    yield name, feature['video']['shape']['dimensions'][-1]
  elif 'sequence' in feature:
    inner = feature['sequence']['feature']
    # A sequence of a dictionary is a dictionary of sequences.
    parts = {'': inner}
    if 'featuresDict' in inner:
      parts = inner['featuresDict']['features']
    for key, part in parts.items():
      if 'image' in part:
        channels = part['image']['shape']['dimensions'][-1]
        yield f'{name}/{key}'.strip('/'), channels
