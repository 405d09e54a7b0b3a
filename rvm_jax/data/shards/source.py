"""Packed sets as sources of records."""

from typing import Any

import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import windows
from rvm_jax.data.shards import array_records
from rvm_jax.data.shards import catalog as catalog_lib
from rvm_jax.data.shards import examples
from rvm_jax.data.shards import schema
from rvm_jax.data.video import decoder


class Packed(windows.Windows):
  """The clips of a packed set.

  Clips too short for the source frames and one target are left out, with a
  warning. Opening the set reads no record, so damage of a record is noticed
  only when its clip is read.
  """

  def __init__(
      self, place: str, spacing: frame_sampling.Spacing, max_bad_share: float
  ):
    """Reads the catalog of the set, and none of its records.

    Args:
      place: path of the set's folder, or its URL, such as 'gs://bucket/set'.
      spacing: distances between the frames of a sample.
      max_bad_share: greatest share of the clips that may be too short. With
        more, the source is refused.

    Raises:
      ImportError: tensorflow-datasets is not installed.
      ValueError: the set cannot be used, too many clips are too short, or no
        clip has room for the least gap.
    """
    self._catalog = catalog_lib.read(place)
    needed = self._catalog.count_needed(spacing.min_frames, spacing.frame_rate)
    is_good = self._catalog.nums_frames >= needed
    reasons = self._catalog.describe_short(needed)
    windows.judge(place, int(is_good.sum()), reasons, max_bad_share, spacing)
    clips = windows.Clips(
        ids=np.flatnonzero(is_good),
        starts=self._catalog.starts[is_good],
        nums_frames=self._catalog.nums_frames[is_good],
        rates=self._catalog.rates[is_good],
        draws=self._catalog.draws[is_good],
    )
    super().__init__(place, clips, spacing)

  def _read(self, clip: int, numbers) -> np.ndarray:
    return read(self._catalog, int(self._clips.ids[clip]), numbers)

  def _path(self, clip: int) -> str:
    video = self._catalog.video(int(self._clips.ids[clip]))
    return f'{self._catalog.folder}/{video}'


def read(
    catalog: catalog_lib.Catalog, clip: int, numbers, verify: bool = False
) -> np.ndarray:
  """Reads frames of a clip of a packed set.

  Args:
    catalog: what the set holds, as `catalog.read` returns it.
    clip: number of the clip in the set.
    numbers: numbers of the n frames to read, counted from the clip's first, in
      any order.
    verify: whether to compute the CRC-32 of the clip's frames and compare it
      with the record's. That takes as long as reading the record, and
      array_record has already compared its own hash of the record.

  Returns:
    The frames, RGB, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: the record is damaged, or belongs to another clip.
  """
  path, number = catalog.locate(clip)
  record = array_records.read(path, number)
  try:
    example = _parse(record)
    if (example['start'], example['crc32']) != (
        catalog.starts[clip],
        catalog.checksums[clip],
    ):
      raise decoder.BrokenVideo(
          schema.name(example), 'is not the clip that clips-*.csv lists here'
      )
    return schema.read(example, numbers, verify=verify)
  except decoder.BrokenVideo as error:
    raise decoder.BrokenVideo(
        f'{path}, record {number}', f'{error.path}: {error.reason}'
    ) from error
  except (KeyError, ValueError) as error:
    raise decoder.BrokenVideo(
        f'{path}, record {number}', f'is no packed clip: {error}'
    ) from error


def _parse(record: bytes) -> dict[str, Any]:
  """Returns the features of a record that `schema.read` needs.

  The value of `frames` is a view of the record, and not a copy.

  Args:
    record: bytes of the record.

  Raises:
    KeyError: a feature is missing.
    ValueError: the record is no example.
  """
  lists = examples.split(record)
  example: dict[str, Any] = {
      key: examples.numbers(lists[key])[0]
      for key in ('num_frames', 'height', 'width', 'start', 'crc32')
  }
  for key in ('encoding', 'video'):
    example[key] = bytes(examples.strings(lists[key])[0])
  example['offsets'] = examples.numbers(lists['offsets'])
  (example['frames'],) = examples.strings(lists['frames'])
  return example
