"""Reads a video once, frame after frame, without indexing it first."""

from collections.abc import Iterator

import av
import numpy as np

from rvm_jax.data.video import decoder
from rvm_jax.data.video import pictures
from rvm_jax.data.video import reader
from rvm_jax.data.video import sequences
from rvm_jax.data.video import timing


def decode(path: str, start: int = 0) -> Iterator[np.ndarray]:
  """Yields the frames of a video in order.

  They are the frames that `reader.scan` counts and `reader.read` returns. There
  is one exception, a video made of pictures of which one is broken: this
  function yields the frames before it, and `reader.scan` refuses the video.

  Args:
    path: path of the video, as `reader.scan` takes it.
    start: number of the first frame to yield. The frames before it are decoded
      too.

  Yields:
    Upright pixels, RGB, uint8 [H, W, 3], all of one size. The array is valid
    until the next one: copy it to keep it.

  Raises:
    BrokenVideo: no frame decodes; or, after all usable frames were yielded, the
      video is damaged, or its header claims more than decoded, as
      `timing.shortfall` tells.
  """
  if module := pictures.module_of(path):
    for number, pixels in enumerate(module.decode_all(path)):
      if number >= start:
        yield pixels
    return
  timestamps, rgb = [], decoder.RGB()
  with decoder.open_stream(path) as stream:
    for number, frame in enumerate(decoder.usable(path, stream)):
      timestamps.append(frame.pts)
      if number >= start:
        yield rgb(frame)
    if not timestamps:
      raise reader.BrokenVideo(path, 'no frame in it decodes')
    rate = timing.frame_rate(timestamps, stream)
    note = timing.shortfall(stream, len(timestamps), rate)
  if note:
    raise reader.BrokenVideo(path, note)


def measure_rate(path: str) -> float:
  """Returns the mean frames per second of a video, as `reader.scan` would.

  Most files are not decoded for this, because their packets have timestamps. In
  a damaged file, frames that do not decode count too, so the result may differ.

  Args:
    path: path of the video, as `reader.scan` takes it.

  Raises:
    BrokenVideo: no frame decodes.
  """
  if pictures.module_of(path):
    return sequences.FRAME_RATE
  with decoder.open_stream(path) as stream:
    frame = next(decoder.from_start(stream), None)
    if frame is None:
      raise reader.BrokenVideo(path, 'no frame in it decodes')
    # A file is simple if each frame comes in one packet with a timestamp.
    is_simple = not frame.interlaced_frame and decoder.is_timed(stream)
  if not is_simple:
    return reader.scan(path).frame_rate
  timestamps = []
  with decoder.open_stream(path) as stream:
    try:
      for packet in decoder.packets(stream):
        if packet.size and not packet.is_discard:
          timestamps.append(packet.pts)
    except av.FFmpegError as error:
      # At damage, the timestamps so far give the rate. If a network disk failed
      # for a moment, the file may be good, so that is an error.
      if error.errno in decoder.NOT_DAMAGE:
        raise
    return timing.frame_rate(timestamps, stream)
