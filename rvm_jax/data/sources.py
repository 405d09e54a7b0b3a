"""Videos as a source: one record for each window of a clip."""

import copy
import functools
import os

from absl import logging
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import held_out
from rvm_jax.data import records
from rvm_jax.data import spans
from rvm_jax.data.video import index
from rvm_jax.data.video import listing
from rvm_jax.data.video import lookups
from rvm_jax.data.video import reader
from rvm_jax.data.video import sequences
from rvm_jax.storage import fingerprints


class Videos:
  """The videos of a folder, glob or manifest, as `listing.find` lists them.

  Each listed clip (a video file, a folder of pictures, or a span of one that a
  manifest names) has as many records as samples with the greatest gap fit into
  it one after the other, so that a clip is sampled in proportion to its length.
  The windows of its records divide the frames at which a sample can begin into
  equal parts.

  Bad clips (unreadable, or too short for the source frames and one target) are
  left out, with a warning. Clips too short for the greatest gap are used with
  the longest gaps that fit.
  """

  def __init__(
      self, place: str, spacing: frame_sampling.Spacing, max_bad_share: float
  ):
    """Lists the clips, and indexes their files if that was not done before.

    Args:
      place: folder, glob, manifest or file.
      spacing: distances between the frames of a sample.
      max_bad_share: greatest share of bad clips with which the source is used.

    Raises:
      ValueError: there are no videos, too many are bad, or none has room for
        the least gap.
    """
    self._database = index.database()
    found, reasons = spans.find(
        listing.find(place), spacing.min_frames, spacing.frame_rate
    )
    _judge(place, len(found), reasons, max_bad_share, spacing)
    if spacing.frame_rate is not None:
      _warn_of_folders(place, [span.clip.path for span in found])
    # One entry for each usable clip: its row in the index, its first frame in
    # the file, its number of frames and its rate; whether it is kept out of
    # training; the number of its frames that a sample with the greatest gap
    # spans; and the number of records of this clip and all before it.
    self._rows = np.array([span.summary.row for span in found], np.int64)
    self._starts = np.array([span.start for span in found], np.int64)
    self._nums_frames = np.array([span.num_frames for span in found], np.int64)
    self._rates = np.array(
        [span.summary.frame_rate for span in found], np.float64
    )
    self._draws = np.array(
        [held_out.draw(span.clip.path) for span in found], np.float64
    )
    self._lengths = _check_gaps(place, spacing, self._nums_frames, self._rates)
    self._stops = self._count_records()

  @property
  def num_clips(self) -> int:
    """Number of clips."""
    return len(self._rows)

  def split(self, share: float) -> tuple['Videos | None', 'Videos | None']:
    """Divides the clips by the names of their files, see `held_out.draw`.

    Args:
      share: share of the files to keep out of training, about.

    Returns:
      The clips to train on, and those that are kept out; None for no clips.
    """
    is_held_out = self._draws < share
    return self._take(~is_held_out), self._take(is_held_out)

  def _take(self, is_taken: np.ndarray) -> 'Videos | None':
    """Returns the clips that a mask [n] chooses; None if there are none."""
    if not is_taken.any():
      return None
    taken = copy.copy(self)
    taken._rows = self._rows[is_taken]
    taken._starts = self._starts[is_taken]
    taken._nums_frames = self._nums_frames[is_taken]
    taken._rates = self._rates[is_taken]
    taken._draws = self._draws[is_taken]
    taken._lengths = self._lengths[is_taken]
    taken._stops = taken._count_records()
    return taken

  def _count_records(self) -> np.ndarray:
    """Returns the number of records of each clip and all before it, [n]."""
    return np.cumsum(np.maximum(1, self._nums_frames // self._lengths))

  def __len__(self) -> int:
    return int(self._stops[-1])

  def __getitem__(self, number: int) -> records.Record:
    """Returns record `number`, of one window of a clip."""
    if not 0 <= number < len(self):
      raise IndexError(f'record {number} of {len(self)}')
    clip = int(np.searchsorted(self._stops, number, side='right'))
    num_frames = int(self._nums_frames[clip])
    num_windows = max(1, num_frames // int(self._lengths[clip]))
    window = number - int(self._stops[clip]) + num_windows
    # Window k of n begins at k / n of the frames at which a sample can begin.
    num_firsts = max(1, num_frames - int(self._lengths[clip]) + 1)
    start = window * num_firsts // num_windows
    return records.Record(
        clip=np.array([clip, start], np.int64),
        num_frames=num_frames,
        window=(start, (window + 1) * num_firsts // num_windows),
        frame_rate=float(self._rates[clip]),
        read=functools.partial(self._read, clip),
    )

  def describe(self, clip: np.ndarray) -> str:
    """Returns a name like '/videos/a.mp4 from frame 120'.

    Args:
      clip: number of a clip in this source, and of a frame in the clip, int64
        [2].
    """
    number, frame = (int(x) for x in clip)
    path = index.path_of(self._database, int(self._rows[number]))
    return f'{path} from frame {int(self._starts[number]) + frame}'

  def fingerprint(self) -> str:
    """Returns a hash of the files' names and the clips' places and order.

    It does not depend on folders, because hosts may reach them differently.
    """
    return fingerprints.hash_parts(
        x.tobytes()
        for x in (
            self._starts,
            self._nums_frames,
            self._rates,
            self._lengths,
            self._draws,
        )
    )

  def _read(self, clip: int, numbers) -> np.ndarray:
    path, contents = index.load(self._database, int(self._rows[clip]))
    numbers = np.asarray(numbers, np.int64) + self._starts[clip]
    return reader.read(path, contents, numbers)


def _judge(
    place: str,
    num_good: int,
    reasons: list[str],
    max_bad_share: float,
    spacing: frame_sampling.Spacing,
):
  """Warns of bad clips, and refuses a source with too many.

  Args:
    place: folder, glob, manifest or file of the source.
    num_good: number of usable clips of the source.
    reasons: what is wrong, for each bad clip.
    max_bad_share: greatest share of bad clips with which the source is used.
    spacing: distances between the frames of a sample.

  Raises:
    ValueError: the share of bad clips is greater, or all clips are bad.
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
        f'{message}. More than max_bad_share={max_bad_share}: mend or remove'
        ' them, or raise it'
    )
  logging.warning('%s. They are left out.', message)


def _warn_of_folders(place: str, paths: list[str]):
  """Warns of folders of pictures whose frame rate a sample depends on."""
  if num_folders := sum(lookups.ask_all(os.path.isdir, paths)):
    logging.warning(
        '%d of %d videos in %r are folders of pictures, which have no frame'
        ' rate: frame_rate takes it to be %g a second.',
        num_folders,
        len(paths),
        place,
        sequences.FRAME_RATE,
    )


def _check_gaps(
    place: str,
    spacing: frame_sampling.Spacing,
    nums_frames: np.ndarray,
    rates: np.ndarray,
) -> np.ndarray:
  """Warns of clips that are too short for the greatest gap.

  Args:
    place: folder, glob, manifest or file of the source.
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
