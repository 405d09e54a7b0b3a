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
# Containers without timestamps: FFmpeg guesses them, and wrongly at damage.
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
  """Opens the first video stream of a file, other than a song's cover picture.

  Args:
    path: path of the file.
    content: bytes of the file if it is in memory; `path` then only names it.

  Yields:
    The stream, which decodes in the calling thread alone.

  Raises:
    BrokenVideo: the file has no video stream; or FFmpeg or the system raised an
      error, here or in the body of the `with`.
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
    stream: the stream.

  Raises:
    av.FFmpegError: reading fails. The empty packet comes first, unless a disk
      failed for a moment, after which the rest can be read another time.
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

  Damage before the first good frame is passed over: a recording may begin
  between key frames.

  Args:
    stream: a stream that was just opened.

  Raises:
    av.FFmpegError: a frame is damaged, or reading fails. All good frames before
      it come first, those that the decoder held back included.
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
    BrokenVideo: after the last usable frame there is damage, or a frame of
      another size.
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

  Frames before the key frame itself are ignored, since a seek may land
  anywhere. Frames to which no other refers are decoded only if wanted. The
  frames end early, without an error, where the file is damaged or the seek went
  wrong: the caller has to check which frames came.

  Args:
    stream: a stream that was just opened, or that this function used before.
    key: timestamp of the key frame. None begins at the start of a stream that
      was just opened.
    aim: timestamp to seek to, at or before `key`.
    wanted: timestamps of the wanted frames, which lie between this key frame
      and the next.
    is_interlaced: whether a frame may come in two packets.

  Yields:
    Frames whose timestamps are wanted, at most one for each timestamp.
  """
  wanted = set(wanted)
  context = stream.codec_context
  is_skipping = context.name in _SKIPPING and not is_interlaced
  is_trusted = key is None
  # Each wanted frame is yielded once; the end is the next key frame.
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

  It covers every fourth row of the first plane.
  """
  plane = frame.planes[0]
  return zlib.crc32(np.ascontiguousarray(_rows(plane)[::4, : plane.width]))


def _decode(
    packet: av.Packet, *, is_last_if_damaged: bool
) -> Iterator[av.VideoFrame]:
  """Decodes a packet and yields the frames that are complete with it.

  Args:
    packet: the packet after those decoded before.
    is_last_if_damaged: whether decoding ends at this packet if it is damaged.
      Then the frames that the decoder holds back come out first, if timestamps
      tell that they are shown before the damaged frame.

  Raises:
    av.FFmpegError: the packet is damaged; all frames before it came first.
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
  """Returns an empty packet, after which the decoder takes no other."""
  packet = av.Packet()
  packet.stream = stream
  return packet


def _rows(plane) -> np.ndarray:
  """Returns the bytes of a plane, with the padding at the end of each row."""
  return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)


def _quarter_turns(frame: av.VideoFrame) -> int:
  """Returns how many counterclockwise quarter turns put the frame upright."""
  return round(frame.rotation / 90)
