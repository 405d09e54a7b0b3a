"""Videos as a source: one record for each window of a video."""

import functools

from absl import logging
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import records
from rvm_jax.data.video import index
from rvm_jax.data.video import listing
from rvm_jax.data.video import reader


class Videos:
  """The videos of a folder, glob or manifest (see `listing.find`).

  A long video has as many records as samples of the greatest gap fit into it
  one after the other, so that videos weigh by their length. A part of a video
  that a manifest names is a video of its own.

  Bad videos (unreadable, or too short for the source frames and one target)
  are left out, with a warning. Videos too short for the greatest gap are used
  with the longest gaps that fit.
  """

  def __init__(
      self, place: str, spacing: frame_sampling.Spacing, max_bad_share: float
  ):
    """Indexes the videos, if that has not been done before.

    Args:
      place: folder, glob, manifest or file.
      spacing: of the frames of a sample.
      max_bad_share: refuse when a greater share of the videos is bad.

    Raises:
      ValueError: no videos there, too many bad ones, or none as long as the
        least gap.
    """
    listed = listing.find(place)
    self._database = index.database()
    good, bad = index.build([clip.path for clip in listed])
    parts, reasons = [], []
    for clip in listed:
      try:
        if clip.path in bad:
          raise reader.BrokenVideo(clip.path, bad[clip.path])
        parts.append(_part(clip, good[clip.path], spacing))
      except reader.BrokenVideo as error:
        reasons.append(str(error))
    rates = [summary.frame_rate for summary in good.values()]
    least = max((spacing.length(1, rate) for rate in rates), default=1)
    _judge(place, len(listed), reasons, max_bad_share, least)
    rows, starts, nums_frames, rates = zip(*parts)
    self._rows = np.array(rows, np.int64)
    self._starts = np.array(starts, np.int64)
    self._nums_frames = np.array(nums_frames, np.int64)
    self._rates = np.array(rates, np.float64)
    self._spans = _check_gaps(place, spacing, self._nums_frames, self._rates)
    self._stops = np.cumsum(np.maximum(1, self._nums_frames // self._spans))

  def __len__(self) -> int:
    return int(self._stops[-1])

  def __getitem__(self, number: int) -> records.Record:
    """Returns record `number`, of a window of a video."""
    if not 0 <= number < len(self):
      raise IndexError(f'record {number} of {len(self)}')
    place = int(np.searchsorted(self._stops, number, side='right'))
    num_frames = int(self._nums_frames[place])
    num_windows = max(1, num_frames // int(self._spans[place]))
    window = number - int(self._stops[place]) + num_windows
    num_firsts = max(1, num_frames - int(self._spans[place]) + 1)
    start = window * num_firsts // num_windows
    return records.Record(
        clip=np.array([place, start], np.int64),
        num_frames=num_frames,
        window=(start, (window + 1) * num_firsts // num_windows),
        frame_rate=float(self._rates[place]),
        read=functools.partial(self._read, place),
    )

  def describe(self, clip: np.ndarray) -> str:
    """Names file and frame of a clip [2]: '/videos/a.mp4 from frame 120'."""
    place, first = (int(number) for number in clip)
    path = index.path_of(self._database, int(self._rows[place]))
    return f'{path} from frame {int(self._starts[place]) + first}'

  def _read(self, place: int, numbers) -> np.ndarray:
    path, contents = index.load(self._database, int(self._rows[place]))
    numbers = np.asarray(numbers, np.int64) + self._starts[place]
    return reader.read(path, contents, numbers)


def _part(
    clip: listing.Clip, summary: index.Summary, spacing: frame_sampling.Spacing
) -> tuple[int, int, int, float]:
  """Returns row, first frame, number of frames, and rate of a clip.

  Raises:
    video.BrokenVideo: it is too short, or beyond the end of its video.
  """
  rate = summary.frame_rate
  start, stop = round(clip.start * rate), summary.num_frames
  if start >= stop:
    raise reader.BrokenVideo(
        clip.path,
        f'start {clip.start:g} s is past the end, at {stop / rate:.3g} s',
    )
  if clip.end is not None:
    stop = min(stop, round(clip.end * rate))
  needed = spacing.length(1, rate)
  if stop - start < needed:
    raise reader.BrokenVideo(
        clip.path, f'too short: {stop - start} frames, needs {needed}'
    )
  return summary.row, start, stop - start, rate


def _judge(
    place: str,
    num_listed: int,
    reasons: list[str],
    max_bad_share: float,
    least: int,
):
  """Warns of bad videos; raises if they are too many, or all."""
  if not reasons:
    return
  command = f'python -m rvm_jax.data.check --min_frames={least} {place!r}'
  message = (
      f'{len(reasons)} of {num_listed} videos in {place!r} are bad, such as'
      f' {"; ".join(reasons[:3])}. To list them: {command}'
  )
  if len(reasons) == num_listed:
    raise ValueError(message)
  if len(reasons) / num_listed > max_bad_share:
    raise ValueError(
        f'{message}. More than max_bad_share={max_bad_share}: mend or remove'
        ' them, or raise it'
    )
  logging.warning('%s. They are left out.', message)


def _check_gaps(
    place: str, spacing: frame_sampling.Spacing, nums_frames: np.ndarray, rates
) -> np.ndarray:
  """Returns the frames that samples of the greatest gap span, per video.

  Says how many videos are shorter; raises if all are shorter than the least
  gap needs.
  """
  spans = 1 + spacing.offsets(spacing.last_source + spacing.max_gap, rates)
  needs = 1 + spacing.offsets(spacing.last_source + spacing.min_gap, rates)
  if (nums_frames < needs).all():
    longest = int(nums_frames.argmax())
    raise ValueError(
        f'the gap range {spacing.min_gap}..{spacing.max_gap} is larger than'
        f' every clip in {place!r}: the longest has {nums_frames[longest]}'
        f' frames, and {spacing.num_source} source frames at stride'
        f' {spacing.stride} with the least gap need {needs[longest]}; lower'
        ' min_gap, num_source or stride, or use longer videos'
    )
  if num_short := int((nums_frames < spans).sum()):
    logging.warning(
        '%d of %d videos in %r are too short for gaps up to %d: they take the'
        ' longest gaps that fit.',
        num_short,
        len(nums_frames),
        place,
        spacing.max_gap,
    )
  return spans
