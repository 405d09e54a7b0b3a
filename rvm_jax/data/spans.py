"""Finds where the clips of a data set lie in its videos, and which are bad."""

from collections.abc import Iterable
import functools
from typing import NamedTuple

from rvm_jax.data import frame_sampling
from rvm_jax.data.video import index
from rvm_jax.data.video import listing


class Span(NamedTuple):
  """A usable clip: a range of frames of a video.

  Attributes:
    clip: the clip as it was listed.
    summary: what the index says of the clip's video.
    start: number of the clip's first frame in the video.
    num_frames: number of frames of the clip.
  """

  clip: listing.Clip
  summary: index.Summary
  start: int
  num_frames: int


def find(
    clips: Iterable[listing.Clip],
    min_frames: int,
    frame_rate: float | None = None,
) -> tuple[list[Span], list[str]]:
  """Finds the usable clips, and indexes videos that are not indexed yet.

  Args:
    clips: clips, as `listing.find` returns them.
    min_frames: least number of frames of a usable clip, counted at
      `frame_rate`.
    frame_rate: rate at which videos are sampled, in frames per second; None for
      each video's own rate.

  Returns:
    The usable clips; and for each bad clip a sentence that names it and says
    what is wrong. Both are in the order of `clips`.
  """
  clips = list(clips)
  good, bad = index.build([clip.path for clip in clips])
  spans, reasons = [], []
  for clip in clips:
    if clip.path in bad:
      reasons.append(f'{clip.name}: {bad[clip.path]}')
      continue
    summary = good[clip.path]
    rate = summary.frame_rate
    start, stop = to_frames(clip, rate)
    stop = summary.num_frames if stop is None else min(stop, summary.num_frames)
    needed = count_frames(min_frames, rate, frame_rate)
    if start >= summary.num_frames:
      end = summary.num_frames / rate
      reasons.append(
          f'{clip.name}: start {clip.start:g} s is past the end, at {end:.3g} s'
      )
    elif stop - start < needed:
      reasons.append(
          f'{clip.name}: too short: {stop - start} frames, needs {needed}'
      )
    else:
      spans.append(Span(clip, summary, start, stop - start))
  return spans, reasons


def to_frames(clip: listing.Clip, frame_rate: float) -> tuple[int, int | None]:
  """Converts the start and end of a clip to numbers of frames of its video.

  Args:
    clip: the clip.
    frame_rate: frames per second of the video.

  Returns:
    (start, stop): number of the clip's first frame, and of the frame after its
    last; `stop` is None for a clip without an end.
  """
  stop = None if clip.end is None else round(clip.end * frame_rate)
  return round(clip.start * frame_rate), stop


@functools.lru_cache
def count_frames(
    num_frames: int, native_rate: float, frame_rate: float | None
) -> int:
  """Returns how many of a video's own frames a number of sampled frames spans.

  Args:
    num_frames: number of frames, counted at `frame_rate`.
    native_rate: the video's own rate, frames per second.
    frame_rate: rate at which the video is sampled, frames per second; None for
      its own.
  """
  return 1 + int(
      frame_sampling.to_native(num_frames - 1, native_rate, frame_rate)
  )
