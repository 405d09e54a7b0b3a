"""Clips as a source of records: one record for each window of a clip."""

import abc
import copy
import functools
from typing import NamedTuple, Self

from absl import logging
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import records
from rvm_jax.storage import fingerprints


class Clips(NamedTuple):
  """What is known of n clips without reading them.

  Attributes:
    ids: number by which the source finds each clip's data, int64 [n].
    starts: number of each clip's first frame in its video, int64 [n].
    nums_frames: number of frames of each clip, int64 [n].
    rates: frames per second of each clip, float64 [n].
    draws: `held_out.draw` of each clip's video, float64 [n]. It decides which
      clips are kept out of training.
  """

  ids: np.ndarray
  starts: np.ndarray
  nums_frames: np.ndarray
  rates: np.ndarray
  draws: np.ndarray


class Windows(abc.ABC):
  """Clips, each with one or more records.

  The number of a clip's records is the number of samples with the greatest gap
  that fit into the clip one after the other, so that a clip is sampled in
  proportion to its length. The windows of the records divide the frames at
  which a sample can begin into equal parts. A clip too short for the greatest
  gap has one record, and is used with the longest gaps that fit.
  """

  def __init__(self, place: str, clips: Clips, spacing: frame_sampling.Spacing):
    """Counts the records of the clips.

    Args:
      place: name of the source, for messages.
      clips: the clips, one or more. Each has at least `spacing.min_frames`
        frames, counted at `spacing.frame_rate`.
      spacing: distances between the frames of a sample.

    Raises:
      ValueError: no clip has room for the least gap.
    """
    self._clips = clips
    # For each clip, the number of its frames that a sample with the greatest
    # gap spans.
    self._lengths = _check_gaps(place, spacing, clips.nums_frames, clips.rates)
    # For each clip, the number of the record after its last one.
    self._stops = self._count_records()

  @abc.abstractmethod
  def _read(self, clip: int, numbers) -> np.ndarray:
    """Returns frames of a clip, as `records.Record.read` does.

    Args:
      clip: number of the clip in this source.
      numbers: numbers of frames, counted from the first frame of the clip.
    """

  @abc.abstractmethod
  def _path(self, clip: int) -> str:
    """Returns a readable name of the video of clip number `clip`."""

  @property
  def num_clips(self) -> int:
    """Number of clips."""
    return len(self._clips.ids)

  def split(self, share: float) -> tuple[Self | None, Self | None]:
    """Divides the clips by the names of their videos, see `held_out.draw`.

    Args:
      share: approximate share of the videos to keep out of training.

    Returns:
      The clips to train on, and the clips that are kept out. Either is None if
      it would have no clips.
    """
    is_held_out = self._clips.draws < share
    return self._take(~is_held_out), self._take(is_held_out)

  def _take(self, is_taken: np.ndarray) -> Self | None:
    """Returns the clips that a mask [n] chooses; None if there are none."""
    if not is_taken.any():
      return None
    taken = copy.copy(self)
    taken._clips = Clips(*(column[is_taken] for column in self._clips))
    taken._lengths = self._lengths[is_taken]
    taken._stops = taken._count_records()
    return taken

  def _count_records(self) -> np.ndarray:
    """Counts for each clip the records of it and all before it, int64 [n]."""
    return np.cumsum(np.maximum(1, self._clips.nums_frames // self._lengths))

  def __len__(self) -> int:
    return int(self._stops[-1])

  def __getitem__(self, number: int) -> records.Record:
    """Returns record `number`, of one window of a clip."""
    if not 0 <= number < len(self):
      raise IndexError(f'expected a record in [0, {len(self)}), got {number}')
    # Find the clip of the record, and the number of its window in the clip.
    clip = int(np.searchsorted(self._stops, number, side='right'))
    num_frames = int(self._clips.nums_frames[clip])
    num_windows = max(1, num_frames // int(self._lengths[clip]))
    window = number - int(self._stops[clip]) + num_windows
    # A sample can begin at the first `num_firsts` frames. Window k of n covers
    # the part of them from k / n to (k + 1) / n.
    num_firsts = max(1, num_frames - int(self._lengths[clip]) + 1)
    start = window * num_firsts // num_windows
    return records.Record(
        clip=np.array([clip, start], np.int64),
        num_frames=num_frames,
        window=(start, (window + 1) * num_firsts // num_windows),
        frame_rate=float(self._clips.rates[clip]),
        read=functools.partial(self._read, clip),
    )

  def describe(self, clip: np.ndarray) -> str:
    """Returns a name like '/videos/a.mp4 from frame 120'.

    Args:
      clip: number of a clip in this source, and of a frame in the clip, int64
        [2].
    """
    number, frame = (int(x) for x in clip)
    first = int(self._clips.starts[number]) + frame
    return f'{self._path(number)} from frame {first}'

  def fingerprint(self) -> str:
    """Returns a hash of the videos' names and the clips' spans and order.

    The hash does not depend on folders, because hosts may reach the same videos
    by different paths. `draws` stand for the names, of which they are hashes.
    """
    clips = self._clips
    return fingerprints.hash_parts(
        x.tobytes()
        for x in (
            clips.starts,
            clips.nums_frames,
            clips.rates,
            self._lengths,
            clips.draws,
        )
    )


def judge(
    place: str,
    num_good: int,
    reasons: list[str],
    max_bad_share: float,
    spacing: frame_sampling.Spacing,
):
  """Warns of bad clips, and refuses a source with too many.

  Args:
    place: name of the source, as `rvm_jax.data.check` takes it.
    num_good: number of usable clips of the source.
    reasons: what is wrong, a sentence for each bad clip.
    max_bad_share: greatest share of bad clips that the source may have.
    spacing: distances between the frames of a sample.

  Raises:
    ValueError: the share of bad clips is greater than `max_bad_share`, or all
      clips are bad.
  """
  if not reasons:
    return
  num_listed = num_good + len(reasons)
  needs = f'--min_frames={spacing.min_frames}'
  if spacing.frame_rate is not None:
    needs += f' --frame_rate={spacing.frame_rate}'
  command = f'python -m rvm_jax.data.check {needs} {place!r}'
  message = (
      f'{len(reasons)} of {num_listed} videos in {place!r} are bad, such as'
      f' {"; ".join(reasons[:3])}. To list them: {command}'
  )
  if not num_good:
    raise ValueError(message)
  if len(reasons) / num_listed > max_bad_share:
    raise ValueError(
        f'{message}. This is more than max_bad_share={max_bad_share}: mend or'
        ' remove the bad videos, or raise max_bad_share'
    )
  logging.warning('%s. They are left out.', message)


def _check_gaps(
    place: str,
    spacing: frame_sampling.Spacing,
    nums_frames: np.ndarray,
    rates: np.ndarray,
) -> np.ndarray:
  """Computes the lengths of samples, and warns of clips shorter than these.

  Args:
    place: name of the source, for messages.
    spacing: distances between the frames of a sample.
    nums_frames: number of frames of each clip, int64 [n].
    rates: frames per second of each clip, float64 [n].

  Returns:
    For each clip, the number of its frames that a sample with the greatest gap
    spans, int64 [n].

  Raises:
    ValueError: all clips are too short even for the least gap.
  """
  lengths = 1 + spacing.offsets(spacing.last_source + spacing.max_gap, rates)
  least = 1 + spacing.offsets(spacing.last_source + spacing.min_gap, rates)
  if (nums_frames < least).all():
    longest = int(nums_frames.argmax())
    raise ValueError(
        f'the gap range {spacing.min_gap}..{spacing.max_gap} is larger than'
        f' every clip in {place!r}: the longest has {nums_frames[longest]}'
        f' frames, and {spacing.num_source} source frames at stride'
        f' {spacing.stride} with the least gap need {least[longest]}; lower'
        ' min_gap, num_source or stride, or use longer videos'
    )
  if num_short := int((nums_frames < lengths).sum()):
    logging.warning(
        '%d of %d videos in %r are too short for gaps up to %d: they take the'
        ' longest gaps that fit.',
        num_short,
        len(nums_frames),
        place,
        spacing.max_gap,
    )
  return lengths
