"""Packs one shard: decodes its videos and cuts them into clips."""

from collections.abc import Iterator, Sequence
import dataclasses
import errno
import itertools
from typing import Any

import numpy as np

from rvm_jax.data import spans
from rvm_jax.data.shards import cutting
from rvm_jax.data.shards import layout
from rvm_jax.data.shards import plan
from rvm_jax.data.shards import writer as writer_lib
from rvm_jax.data.video import decoder
from rvm_jax.data.video import sequential

# System errors that say nothing about the file that is being read.
_NOT_DAMAGE = (*decoder.NOT_DAMAGE, errno.EIO, errno.EMFILE, errno.ENFILE)


@dataclasses.dataclass(frozen=True)
class Task:
  """A shard to pack.

  Attributes:
    paths: paths of its files.
    settings: how videos become clips.
    videos: the videos of the shard, in order.
    crashing: numbers of those that crash the decoder, counted in this shard.
  """

  paths: layout.Paths
  settings: plan.Settings
  videos: Sequence[plan.Video]
  crashing: frozenset[int] = frozenset()

  def without(self, number: int) -> 'Task':
    """Returns the task for which a video crashes the decoder."""
    return dataclasses.replace(self, crashing=self.crashing | {number})


def pack(task: Task) -> Iterator[int | dict[str, Any]]:
  """Packs a shard, unless that was done before.

  Args:
    task: the shard.

  Yields:
    After each video, how many are done; last the summary of the shard, see
    `writer.Writer.finish`.

  Raises:
    OSError: a file cannot be written, or a disk fails. Nothing incomplete is
      left under the name of a complete file.
  """
  summary = layout.read_summary(task.paths, is_verified=True)
  if summary is None:
    writer = writer_lib.Writer(task.paths, task.settings)
    try:
      for number, video in enumerate(task.videos):
        if number in task.crashing:
          writer.leave_out(video.name, 'the decoder crashes')
        else:
          _pack_video(video, task.settings, writer)
        yield number + 1
      summary = writer.finish()
    finally:
      writer.clean_up()
  yield summary


def _pack_video(
    video: plan.Video, settings: plan.Settings, writer: writer_lib.Writer
):
  """Packs the clips of a video, and notes what is left out.

  Args:
    video: the video.
    settings: how videos become clips.
    writer: where the clips go.

  Raises:
    OSError: writing failed, or reading did for another reason than damage.
  """
  clip, num_clips = video.clip, 0
  is_even = settings.format == 'mp4'
  is_cut = cutting.CutDetector() if settings.cuts else _never
  try:
    frame_rate = sequential.measure_rate(clip.path)
    start, stop = spans.to_frames(clip, frame_rate)
    frames = sequential.decode(clip.path, start)
    if stop is not None:
      frames = itertools.islice(frames, stop - start)
    scaled = (
        cutting.scale(frame, settings.short_side, is_even) for frame in frames
    )
    for first, images in cutting.cut(scaled, settings.clip_frames, is_cut):
      num_clips += 1
      first += start
      if len(images) < settings.min_frames:
        writer.leave_out(
            video.name,
            f'frames {first} to {first + len(images) - 1} are too short:'
            f' {len(images)} frames, needs {settings.min_frames}',
        )
        continue
      writer.add(video, first, frame_rate, images, is_sampled=num_clips == 1)
    if not num_clips:
      writer.leave_out(video.name, f'start {clip.start:g} s is past the end')
  except decoder.BrokenVideo as error:
    number = getattr(error.__cause__, 'errno', None)
    if number in _NOT_DAMAGE:
      raise OSError(number, error.reason, clip.path) from error
    writer.leave_out(video.name, error.reason)
  if isinstance(is_cut, cutting.CutDetector):
    writer.num_cuts += is_cut.num_cuts


def _never(frame: np.ndarray) -> bool:
  """Returns that no scene cut is before a frame."""
  del frame
  return False
