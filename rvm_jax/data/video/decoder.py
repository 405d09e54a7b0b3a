"""PyAV underneath: open a file, decode from the start or from a key frame.

Frames come upright: rotations by quarter turns that phones store as metadata
are applied. Pixels are taken as square.
"""

from collections.abc import Iterator
import contextlib
import errno
import zlib

import av
from av.video import reformatter
import numpy as np

# Decoders that can be told, packet by packet, to leave out a frame that no
# other refers to.
_SKIPPING = frozenset(['h264', 'hevc', 'mpeg1video', 'mpeg2video', 'mpeg4'])
# Containers without timestamps: FFmpeg guesses them, at damage wrongly.
_UNTIMED = frozenset(['avi'])
# What a network disk says that fails for a moment: not the video's fault.
NOT_DAMAGE = (errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)


class BrokenVideo(ValueError):
  """A video that cannot be read: `path` and `reason`."""

  def __init__(self, path: str, reason: str):
    super().__init__(path, reason)
    self.path = path
    self.reason = reason

  def __str__(self):
    return f'{self.path}: {self.reason}'


@contextlib.contextmanager
def open_stream(path: str) -> Iterator[av.VideoStream]:
  """Opens the first stream of moving pictures (not the cover of a song).

  Raises:
    BrokenVideo: in place of any error of FFmpeg or of the system, also from
      the body of the `with`.
  """
  cover = av.stream.Disposition.attached_pic
  try:
    with av.open(path, metadata_errors='replace') as container:
      for stream in container.streams.video:
        if not stream.disposition & cover:
          stream.thread_type = 'NONE'
          yield stream
          return
      raise BrokenVideo(path, 'no video stream')
  except (av.FFmpegError, OSError) as error:
    raise BrokenVideo(path, error.strerror or str(error)) from error


def packets(stream: av.VideoStream) -> Iterator[av.Packet]:
  """All that can be read; an empty one asks for what the decoder holds.

  Raises:
    av.FFmpegError: after the empty one, where reading fails; at once, where the
      disk fails for a moment and what follows may be had another time.
  """
  try:
    yield from stream.container.demux(stream)  # The empty one is its last.
  except av.FFmpegError as error:
    if error.errno not in NOT_DAMAGE:
      yield _ask_for_held(stream)
    raise


def from_start(stream: av.VideoStream) -> Iterator[av.VideoFrame]:
  """Frames of a stream just opened, up to the first damaged one.

  What is damaged before the first good frame (a recording that begins between
  key frames) is passed over.

  Raises:
    av.FFmpegError: at a damaged frame, or where reading fails; after all frames
      before it, also those that the decoder held.
  """
  is_started = False
  for packet in packets(stream):
    try:
      for frame in _decode(packet, is_last_if_damaged=is_started):
        if frame.is_corrupt:
          raise av.InvalidDataError(0, 'the decoder calls it corrupt')
        is_started = True
        yield frame
    except av.FFmpegError:
      if is_started:
        raise


def from_key(
    stream: av.VideoStream,
    key: int | None,
    aim: int,
    wanted: set[int],
    is_interlaced: bool,
) -> Iterator[av.VideoFrame]:
  """Frames with the timestamps `wanted`, as far as a seek finds them.

  Nothing is trusted before the key frame itself shows up. Frames that no other
  refers to are decoded only if wanted. An error ends it, after the frames that
  the decoder held from before it.

  Args:
    stream: just opened, or used by this function before.
    key: timestamp of the key frame to begin at; None, if the stream was just
      opened, to begin at its start.
    aim: timestamp to ask the container for, at or before `key`.
    wanted: timestamps of frames from the key frame on, before the next one.
    is_interlaced: a frame may come in two packets.
  """
  wanted = set(wanted)
  context = stream.codec_context
  is_skipping = context.name in _SKIPPING and not is_interlaced
  is_trusted = key is None
  try:
    if key is not None:
      stream.container.seek(aim, stream=stream)
    for packet in packets(stream):
      if is_skipping:
        is_wanted = packet.pts in wanted
        context.skip_frame = 'DEFAULT' if is_wanted else 'NONREF'
      for frame in _decode(packet, is_last_if_damaged=True):
        is_trusted |= frame.key_frame and frame.pts == key
        if is_trusted and frame.pts in wanted:
          wanted.remove(frame.pts)
          yield frame
        is_past = key is not None and frame.key_frame and frame.pts > key
        if is_past or not wanted:
          return
  except av.FFmpegError:
    return


class RGB:
  """Turns decoded frames into pixels; keeps what can be used again."""

  def __init__(self):
    self._reformatter = reformatter.VideoReformatter()

  def __call__(self, frame: av.VideoFrame) -> np.ndarray:
    """Returns the upright pixels, a uint8 [H, W, 3] view to be copied."""
    frame = self._reformatter.reformat(frame, format='rgb24', threads=1)
    plane = frame.planes[0]
    pixels = _rows(plane)[:, : 3 * plane.width]
    pixels = pixels.reshape(plane.height, plane.width, 3)
    return np.rot90(pixels, _quarter_turns(frame))


def shape(frame: av.VideoFrame) -> tuple[int, int]:
  """Height and width of a frame put upright."""
  size = frame.height, frame.width
  return size[::-1] if _quarter_turns(frame) % 2 else size


def checksum(frame: av.VideoFrame) -> int:
  """Of every fourth row of the first plane: enough to tell frames apart."""
  plane = frame.planes[0]
  return zlib.crc32(np.ascontiguousarray(_rows(plane)[::4, : plane.width]))


def _decode(
    packet: av.Packet, *, is_last_if_damaged: bool
) -> Iterator[av.VideoFrame]:
  """Frames that a packet brings out.

  Args:
    packet: follows those decoded before.
    is_last_if_damaged: none will follow it then: frames to be shown before it
      that the decoder holds come out, as far as timestamps tell.

  Raises:
    av.FFmpegError: after these, if the packet is damaged.
  """
  try:
    if packet.is_corrupt:
      raise av.InvalidDataError(0, 'its data are not whole')
    frames = packet.decode()
  except av.FFmpegError:
    stream = packet.stream
    is_timed = stream.container.format.name not in _UNTIMED
    if is_last_if_damaged and is_timed and packet.pts is not None:
      for frame in _ask_for_held(stream).decode():
        if frame.pts is not None and frame.pts < packet.pts:
          yield frame
    raise
  yield from frames


def _ask_for_held(stream: av.VideoStream) -> av.Packet:
  """An empty packet; the decoder takes no other after it."""
  packet = av.Packet()
  packet.stream = stream
  return packet


def _rows(plane) -> np.ndarray:
  """The bytes of a plane, with the padding at the end of each row."""
  return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)


def _quarter_turns(frame: av.VideoFrame) -> int:
  """Counterclockwise quarter turns that put the frame upright."""
  return round(frame.rotation / 90)
