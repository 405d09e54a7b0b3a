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
    paths: paths of the shard's files.
    settings: how to cut, reduce and store the videos.
    videos: the videos of the shard, in order.
    crashing: numbers in `videos` of the videos that crash the decoder, which
      are left out.
  """

  paths: layout.Paths
  settings: plan.Settings
  videos: Sequence[plan.Video]
  crashing: frozenset[int] = frozenset()

  def without(self, number: int) -> 'Task':
    """Returns a copy of the task that also leaves out a video that crashes.

    Args:
      number: number in `videos` of the video that crashes the decoder.
    """
    return dataclasses.replace(self, crashing=self.crashing | {number})


def pack(task: Task) -> Iterator[int | dict[str, Any]]:
  """Packs a shard, unless it is complete already.

  Args:
    task: the shard.

  Yields:
    After each video, the number of videos that are done. At the end, the
    summary of the shard as `writer.Writer.finish` returns it; a shard that is
    complete already yields its summary alone.

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
    video: the video to pack.
    settings: how to cut, reduce and store the video.
    writer: writer of the shard, to which the clips are added.

  Raises:
    OSError: the shard cannot be written, or the video cannot be read for a
      reason other than damage, such as a disk that fails.
  """
  clip, num_clips = video.clip, 0
  is_even = settings.format == 'mp4'
  is_cut = cutting.CutDetector() if settings.cuts else _never
  try:
    # Decode the frames of the span that the manifest lists, or all frames.
    frame_rate = sequential.measure_rate(clip.path)
    start, stop = spans.to_frames(clip, frame_rate)
    frames = sequential.decode(clip.path, start)
    if stop is not None:
      frames = itertools.islice(frames, stop - start)
    scaled = (
        cutting.scale(frame, settings.short_side, is_even) for frame in frames
    )
    # Add each clip to the shard, or note that it is too short. The quality of
    # one frame of each video is measured, in its first clip.
    for first, images in cutting.cut(scaled, settings.clip_frames, is_cut):
      num_clips += 1
      # From here on, `first` counts from the beginning of the video.
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
  """Returns False: without a detector, no frame follows a scene cut."""
  del frame
  return False
