"""Decoding with PyAV: from the start of a file, or from a key frame.

Frames come upright: the quarter turns that phones store as metadata are
applied. Pixels are taken to be square.
"""

from collections.abc import Iterator
import contextlib
import errno
import io
import zlib

import av
from av.video import reformatter
import numpy as np

# Decoders that can be told, packet by packet, to leave out frames to which no
# other frame refers.
_SKIPPING = frozenset(['h264', 'hevc', 'mpeg1video', 'mpeg2video', 'mpeg4'])
# Containers that store no timestamps. FFmpeg guesses them, and its guesses are
# wrong where a file is damaged.
_UNTIMED = frozenset(['avi'])
# System errors of a network disk that fails for a moment: the file may be good.
NOT_DAMAGE = (errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)


class BrokenVideo(ValueError):
  """A video that cannot be read.

  Attributes:
    path: path of the file.
    reason: why it cannot be read.
  """

  def __init__(self, path: str, reason: str):
    super().__init__(path, reason)
    self.path = path
    self.reason = reason

  def __str__(self):
    return f'{self.path}: {self.reason}'


@contextlib.contextmanager
def open_stream(
    path: str, content: bytes | None = None
) -> Iterator[av.VideoStream]:
  """Opens the first video stream of a file that is not a cover picture.

  Args:
    path: path of the file.
    content: bytes of the file if it is in memory; None to read it from `path`.
      With `content`, `path` is only a name for errors.

  Yields:
    The stream, which decodes in the calling thread alone.

  Raises:
    BrokenVideo: the file has no video stream; or FFmpeg or the system raised an
      error, here or in the body of the `with` statement.
  """
  cover = av.stream.Disposition.attached_pic
  try:
    file = path if content is None else io.BytesIO(content)
    with av.open(file, metadata_errors='replace') as container:
      for stream in container.streams.video:
        if not stream.disposition & cover:
          stream.thread_type = 'NONE'
          yield stream
          return
      raise BrokenVideo(path, 'no video stream')
  except (av.FFmpegError, OSError) as error:
    raise BrokenVideo(path, error.strerror or str(error)) from error


def packets(stream: av.VideoStream) -> Iterator[av.Packet]:
  """Yields the packets of a stream, and an empty one at the end.

  Decoding the empty packet returns the frames that the decoder still holds back
  to put them in order.

  Args:
    stream: a stream that `open_stream` opened.

  Raises:
    av.FFmpegError: reading fails. The empty packet is yielded before this error
      too, unless a network disk failed for a moment (NOT_DAMAGE): then the rest
      of the file may be good, and the caller can read all of it later.
  """
  try:
    # At the end of the file, the last packet of `demux` is the empty one.
    yield from stream.container.demux(stream)
  except av.FFmpegError as error:
    if error.errno not in NOT_DAMAGE:
      yield _ask_for_held(stream)
    raise


def from_start(stream: av.VideoStream) -> Iterator[av.VideoFrame]:
  """Yields the frames of a stream in order, up to the first damaged one.

  Damage before the first good frame is passed over, because a recording may
  begin between key frames.

  Args:
    stream: a stream that was just opened.

  Raises:
    av.FFmpegError: a frame is damaged, or reading fails. All good frames before
      it are yielded first, including those that the decoder held back.
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


def usable(path: str, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
  """Yields the frames of a stream in order, as long as they are usable.

  Args:
    path: path of the file, for the error.
    stream: a stream that was just opened.

  Raises:
    BrokenVideo: a frame is damaged, or has another size than the first. The
      frames before it are yielded first.
  """
  number, size = 0, None
  try:
    for frame in from_start(stream):
      size = size or shape(frame)
      if shape(frame) != size:
        raise BrokenVideo(path, f'frame size changes at frame {number}')
      yield frame
      number += 1
  except av.FFmpegError as error:
    raise BrokenVideo(
        path, f'frame {number} is damaged: {error.strerror}'
    ) from error


def from_key(
    stream: av.VideoStream,
    key: int | None,
    aim: int,
    wanted: set[int],
    is_interlaced: bool,
) -> Iterator[av.VideoFrame]:
  """Seeks to a key frame and yields the wanted frames after it, in order.

  Frames that the decoder returns before the key frame are ignored, since a seek
  may land anywhere. Frames to which no other frame refers are decoded only if
  they are wanted. If the file is damaged or the seek goes wrong, some wanted
  frames are missing and there is no error: the caller has to check which frames
  came.

  Args:
    stream: a stream that was just opened, or that this function used before.
    key: timestamp of the key frame. None does not seek, but begins at the start
      of a stream that was just opened.
    aim: timestamp to seek to, at or before `key`; ignored if `key` is None.
    wanted: timestamps of the wanted frames, which lie between this key frame
      and the next.
    is_interlaced: whether a frame may come in two packets.

  Yields:
    Frames whose timestamps are wanted, at most one for each timestamp.
  """
  wanted = set(wanted)
  context = stream.codec_context
  is_skipping = context.name in _SKIPPING and not is_interlaced
  # Frames are trusted from the key frame on, which shows where the seek landed.
  is_trusted = key is None
  # Decode until all wanted frames have been yielded, or to the next key frame.
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
  """Converts decoded frames to pixels, reusing FFmpeg's converter."""

  def __init__(self):
    self._reformatter = reformatter.VideoReformatter()

  def __call__(self, frame: av.VideoFrame) -> np.ndarray:
    """Returns the upright pixels, RGB, uint8 [H, W, 3].

    The array is a view that is valid until the next call: copy it to keep it.
    """
    frame = self._reformatter.reformat(frame, format='rgb24', threads=1)
    plane = frame.planes[0]
    pixels = _rows(plane)[:, : 3 * plane.width]
    pixels = pixels.reshape(plane.height, plane.width, 3)
    return np.rot90(pixels, _quarter_turns(frame))


def is_timed(stream: av.VideoStream) -> bool:
  """Returns whether the container of a stream has timestamps."""
  return stream.container.format.name not in _UNTIMED


def shape(frame: av.VideoFrame) -> tuple[int, int]:
  """Returns height and width of a frame after it is put upright."""
  size = frame.height, frame.width
  return size[::-1] if _quarter_turns(frame) % 2 else size


def checksum(frame: av.VideoFrame) -> int:
  """Returns a checksum that tells frames apart.

  It is the CRC-32 of every fourth row of the first plane, without padding. In
  most pixel formats the first plane is the brightness.
  """
  plane = frame.planes[0]
  return zlib.crc32(np.ascontiguousarray(_rows(plane)[::4, : plane.width]))


def _decode(
    packet: av.Packet, *, is_last_if_damaged: bool
) -> Iterator[av.VideoFrame]:
  """Decodes a packet and yields the frames that are complete with it.

  Args:
    packet: the next packet of its stream.
    is_last_if_damaged: whether the caller decodes no more packets if this one
      is damaged. Then the frames that the decoder holds back are yielded before
      the error, as far as timestamps tell that they are shown before the
      damaged frame.

  Raises:
    av.FFmpegError: the packet is damaged.
  """
  try:
    if packet.is_corrupt:
      raise av.InvalidDataError(0, 'its data are not whole')
    frames = packet.decode()
  except av.FFmpegError:
    stream = packet.stream
    is_last = is_last_if_damaged and is_timed(stream)
    if is_last and packet.pts is not None:
      for frame in _ask_for_held(stream).decode():
        if frame.pts is not None and frame.pts < packet.pts:
          yield frame
    raise
  yield from frames


def _ask_for_held(stream: av.VideoStream) -> av.Packet:
  """Returns an empty packet; decoding it returns the frames held back.

  After this packet, the decoder of the stream accepts no other.
  """
  packet = av.Packet()
  packet.stream = stream
  return packet


def _rows(plane) -> np.ndarray:
  """Returns the bytes of a plane, with the padding at the end of each row."""
  return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)


def _quarter_turns(frame: av.VideoFrame) -> int:
  """Returns how many counterclockwise quarter turns put the frame upright."""
  return round(frame.rotation / 90)
