"""Reading a video once, frame after frame, without indexing it first."""

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

  They are the frames that `reader.read` returns, of which the index knows the
  number; a folder of pictures ends at a broken one.

  Args:
    path: path of the file, or of a folder of pictures.
    start: number of the first frame to yield. Those before it are decoded too.

  Yields:
    Upright pixels, RGB, uint8 [H, W, 3], all of one size. The array is valid
    until the next one: copy it to keep it.

  Raises:
    BrokenVideo: no frame decodes; or, after the frames that are usable, the
      video is damaged or its header claims clearly more frames.
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
  """Returns the frames per second of a video, as the index has them.

  Most files are not decoded for this: their packets have the timestamps. If a
  file is damaged, frames that do not decode count too.

  Args:
    path: path of the file, or of a folder of pictures.

  Raises:
    BrokenVideo: no frame decodes.
  """
  if pictures.module_of(path):
    return sequences.FRAME_RATE
  with decoder.open_stream(path) as stream:
    frame = next(decoder.from_start(stream), None)
    if frame is None:
      raise reader.BrokenVideo(path, 'no frame in it decodes')
    # A frame may come in two packets, or packets without timestamps.
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
      # Damage ends the frames, and a disk that fails for a moment does not.
      if error.errno in decoder.NOT_DAMAGE:
        raise
    return timing.frame_rate(timestamps, stream)
