"""Plays a video once: all good frames, and notes on what is missing."""

import array
from collections.abc import Iterator
import math
import os
from typing import NamedTuple

import av
import numpy as np

from rvm_jax.data.video import decoder
from rvm_jax.data.video import sequences

# A decoder holds back at most this many frames, to put them in order.
_MAX_DELAY = 64


class Frame(NamedTuple):
  """A frame that was decoded without an error.

  Attributes:
    time: timestamp in seconds by the clock of the file; NaN if it has none.
    picture: the decoded frame, which `decoder.RGB` converts to pixels.
  """

  time: float
  picture: av.VideoFrame


class Playback:
  """Plays a video once, from start to end, across damaged parts.

  Frames come in the order of the decoder. When the decoder or the container
  reports damage, the frames that were in the file before it are kept, and the
  following ones are left out up to the next key frame. Damage that neither
  reports cannot be detected: most codecs have no checksums.

  If the video is a folder of pictures, the pictures that cannot be read are
  left out, and frames have no timestamps.

  Attributes:
    num_claimed: number of frames that the header of the file states, which may
      be wrong; 0 if it states none. For a folder it is the number of pictures.
      It is set once the first frame has been read.
  """

  def __init__(self, path: str):
    """Prepares to play a file or a folder; the iteration opens it."""
    self._path = path
    self._times = array.array('d')
    # The reason why frames are missing before good frame number n, by n.
    self._damage: dict[int, str] = {}
    self._shortfall = ''
    self.num_claimed = 0

  @property
  def num_frames(self) -> int:
    """Number of good frames so far."""
    return len(self._times)

  def __iter__(self) -> Iterator[Frame]:
    """Yields the good frames; may be used only once.

    Raises:
      BrokenVideo: the file is not a video, or no frame of it can be decoded.
    """
    if os.path.isdir(self._path):
      for picture in self._of_one_size(self._folder_pictures()):
        yield self._keep(np.nan, picture)
      return
    with decoder.open_stream(self._path) as stream:
      self.num_claimed = stream.frames
      for picture in self._of_one_size(self._good_pictures(stream)):
        is_timed = picture.pts is not None
        time = float(picture.pts * stream.time_base) if is_timed else np.nan
        yield self._keep(time, picture)
      self._shortfall = self._compare_with_header(stream)

  def notes(self) -> list[str]:
    """Returns a sentence for each thing that is missing or unusual.

    Call it after the last frame. An intact video has no notes.
    """
    times = np.array(self._times)
    spacings = np.diff(times)
    missing, notes = dict(self._damage), []
    # Timestamps show missing frames only if they are complete and in order.
    if np.isnan(times).any():
      notes.append(
          f'{np.isnan(times).sum()} of {len(times)} frames have no timestamp'
      )
    elif (spacings <= 0).any():
      notes.append('the timestamps are not in order')
    elif len(times) > 2:
      usual = np.median(spacings)
      # Numbers of the frames that come later than usual.
      late = np.flatnonzero(spacings > 1.5 * usual) + 1
      # Many of them mean an uneven frame rate, few of them missing frames.
      if 10 * len(late) > len(times):
        notes.append(
            f'the timestamps are uneven: {len(late)} of {len(spacings)}'
            f' spacings are over 1.5 times the usual {usual:.4g} s'
        )
      else:
        unexplained = 'no frames for longer than usual'
        # A reason that was reported takes precedence.
        missing = {int(number): unexplained for number in late} | missing
    notes += [f'{self._where(n)}: {missing[n]}' for n in sorted(missing)]
    if self._shortfall:
      notes.append(self._shortfall)
    return notes

  def _keep(self, time: float, picture: av.VideoFrame) -> Frame:
    """Returns a good frame, after it is counted."""
    self._times.append(time)
    return Frame(time, picture)

  def _of_one_size(
      self, pictures: Iterator[av.VideoFrame]
  ) -> Iterator[av.VideoFrame]:
    """Yields pictures of the size of the first one; reports all others."""
    shape = None
    for picture in pictures:
      shape = shape or decoder.shape(picture)
      if decoder.shape(picture) != shape:
        height, width = decoder.shape(picture)
        self._report(f'frames of another size, {width} x {height} pixels')
        continue
      yield picture
    if not shape:
      raise decoder.BrokenVideo(self._path, 'no frame in it decodes')

  def _folder_pictures(self) -> Iterator[av.VideoFrame]:
    """Yields the pictures of a folder; reports those that are not good."""
    names = sequences.list_names(self._path)
    self.num_claimed = len(names)
    for name in names:
      try:
        pixels = sequences.decode(self._path, name)
      except decoder.BrokenVideo as error:
        self._report(error.reason)
        continue
      yield av.VideoFrame.from_ndarray(pixels)

  def _good_pictures(self, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yields the pictures that damage has not reached; reports all others.

    A decoder returns pictures some packets after the one that they come from.
    Damage in a packet therefore does not reach the pictures of earlier packets
    that the decoder still holds.
    """
    # Positions in the file of packets whose pictures are awaited, by timestamp.
    positions: dict[int | None, int] = {}
    # Pictures from this position on are not good, for this reason.
    damaged, reason = math.inf, ''
    for position, packet in enumerate(self._packets(stream)):
      positions[packet.pts] = position
      # Packets that never give a picture must not pile up.
      if len(positions) > _MAX_DELAY:
        del positions[next(iter(positions))]
      try:
        if packet.is_corrupt:
          raise av.InvalidDataError(0, 'data in the file are not whole')
        pictures = packet.decode()
      except av.FFmpegError as error:
        damaged = min(damaged, position)
        reason = reason or error.strerror
        continue
      for picture in pictures:
        origin = positions.pop(picture.pts, position)
        if picture.is_corrupt:
          damaged = min(damaged, origin)
          reason = reason or 'the decoder calls it corrupt'
        if origin >= damaged:
          self._report(reason)
          # A key frame after the damage depends on nothing before it.
          if picture.key_frame and origin > damaged:
            damaged, reason = math.inf, ''
        if origin < damaged:
          yield picture
    # The damage lasted to the end of the file.
    if reason:
      self._report(reason)

  def _packets(self, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Yields the packets; reports where the file cannot be read any further."""
    try:
      yield from decoder.packets(stream)
    except av.FFmpegError as error:
      if error.errno in decoder.NOT_DAMAGE:
        raise
      self._report(error.strerror)

  def _report(self, reason: str):
    """Records why frames are missing before the next good one.

    Of several reasons the first one is kept.
    """
    self._damage.setdefault(self.num_frames, reason)

  def _where(self, number: int) -> str:
    """Names the place before good frame `number` for a note.

    Returns:
      For number 24, 'between frame 23 (0.92 s) and frame 24 (1.44 s)'.
    """
    if not number:
      return f'before {self._name(0)}'
    if number == self.num_frames:
      return f'after the last, {self._name(number - 1)}'
    return f'between {self._name(number - 1)} and {self._name(number)}'

  def _name(self, number: int) -> str:
    """Returns number and time of a good frame, such as 'frame 23 (0.92 s)'."""
    return f'frame {number} ({self._times[number]:.6g} s)'

  def _compare_with_header(self, stream: av.VideoStream) -> str:
    """Returns a note if the header claims more than was played, or ''.

    The header's number of frames is compared, or its duration if it has none.
    """
    if stream.frames:
      if stream.frames > self.num_frames:
        return (
            f'the header claims {stream.frames} frames, {self.num_frames} are'
            ' good'
        )
      return ''
    claimed = (stream.container.duration or 0) / av.time_base
    seconds = max(self._times) - min(self._times)
    # Durations are inexact: a second, or 5 % of a long video, is tolerated.
    if claimed > seconds + max(1, 0.05 * claimed):
      return f'the header claims {claimed:.1f} s, the frames span {seconds:.1f}'
    return ''
