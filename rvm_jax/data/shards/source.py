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
  warning. Damaged records are noticed when they are read.
  """

  def __init__(
      self, place: str, spacing: frame_sampling.Spacing, max_bad_share: float
  ):
    """Reads what the set holds, but none of its records.

    Args:
      place: path of the set's folder, or its URL, such as 'gs://bucket/set'.
      spacing: distances between the frames of a sample.
      max_bad_share: greatest share of clips that are too short with which the
        source is used.

    Raises:
      ValueError: the set cannot be used, too many clips are too short, or none
        has room for the least gap.
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
    catalog: what the set holds.
    clip: number of the clip in the set.
    numbers: numbers of the n frames to read, counted from the clip's first.
    verify: whether to compare the CRC-32 of the clip's frames with that in the
      record. That takes as long as reading the record, and array_record has
      compared its own hash of the record already.

  Returns:
    The frames, RGB, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: the record is damaged, or is not of this clip.
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
          schema.name(example), 'is not the clip that the CSV file says'
      )
    return schema.read(example, numbers, verify=verify)
  except decoder.BrokenVideo as error:
    raise decoder.BrokenVideo(
        f'{path}, record {number}', f'{error.path}: {error.reason}'
    ) from error
  except (KeyError, ValueError) as error:
    raise decoder.BrokenVideo(
        f'{path}, record {number}', f'no packed clip: {error}'
    ) from error


def _parse(record: bytes) -> dict[str, Any]:
  """Returns what `schema.read` needs of a record; `frames` is a view of it."""
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
