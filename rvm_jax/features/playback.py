"""One pass over a video: every good frame, and a note on what is missing."""

import array
from collections.abc import Iterator
import math
from typing import NamedTuple

import av
import numpy as np

from rvm_jax.data.video import decoder

# Frames that a decoder holds back at most, to put them in order.
_MAX_DELAY = 64


class Frame(NamedTuple):
  """A frame that decoded well.

  Attributes:
    time: seconds on the clock of the file, NaN where it gives none.
    picture: to be turned into pixels by `decoder.RGB`.
  """

  time: float
  picture: av.VideoFrame


class Playback:
  """Plays a video once, from its start to its end, past what is damaged.

  Frames come in the order of the decoder. After damage that the decoder or the
  container reports, nothing is good before the next key frame, but what had
  been read from the file ahead of the damage. Damage that neither reports (most
  codecs have no checksums) cannot be told from a picture.

  Attributes:
    num_claimed: frames by the header, which may lie; 0 if it does not say.
      Known from the first frame on.
    num_frames: good frames so far.
  """

  def __init__(self, path: str):
    self._path = path
    self._times = array.array('d')
    self._damage = {}  # Of the number of the frame after it, to the reason.
    self._shortfall = ''
    self.num_claimed = 0

  @property
  def num_frames(self) -> int:
    return len(self._times)

  def __iter__(self) -> Iterator[Frame]:
    """Yields the good frames; to be used once.

    Raises:
      BrokenVideo: not a video, or no frame in it decodes.
    """
    shape = None
    with decoder.open_stream(self._path) as stream:
      self.num_claimed = stream.frames
      for picture in self._good_pictures(stream):
        shape = shape or decoder.shape(picture)
        if decoder.shape(picture) != shape:
          height, width = decoder.shape(picture)
          self._report(f'frames of another size, {width} x {height} pixels')
          continue
        is_timed = picture.pts is not None
        time = float(picture.pts * stream.time_base) if is_timed else np.nan
        self._times.append(time)
        yield Frame(time, picture)
      if not self.num_frames:
        raise decoder.BrokenVideo(self._path, 'no frame in it decodes')
      self._shortfall = self._compare(stream)

  def notes(self) -> list[str]:
    """What is missing or odd, a sentence each; after the last frame."""
    times = np.array(self._times)
    spacings = np.diff(times)
    gaps, notes = dict(self._damage), []
    if np.isnan(times).any():
      notes.append(
          f'{np.isnan(times).sum()} of {len(times)} frames have no timestamp'
      )
    elif (spacings <= 0).any():
      notes.append('the timestamps are not in order')
    elif len(times) > 2:
      usual = np.median(spacings)
      long = np.flatnonzero(spacings > 1.5 * usual) + 1
      if 10 * len(long) > len(times):
        notes.append(
            f'the timestamps are uneven: {len(long)} of {len(spacings)}'
            f' spacings are over 1.5 times the usual {usual:.4g} s'
        )
      else:
        unexplained = 'no frames for longer than usual'
        gaps = {int(i): unexplained for i in long} | gaps
    notes += [f'{self._where(i)}: {gaps[i]}' for i in sorted(gaps)]
    return notes + [self._shortfall] * bool(self._shortfall)

  def _good_pictures(self, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Pictures to be trusted; reports all others."""
    places = {}  # In the file, of the packets whose pictures are awaited.
    damaged, reason = math.inf, ''  # Nothing from this place on is good.
    for place, packet in enumerate(self._packets(stream)):
      places[packet.pts] = place
      if len(places) > _MAX_DELAY:
        del places[next(iter(places))]
      try:
        if packet.is_corrupt:
          raise av.InvalidDataError(0, 'data in the file are not whole')
        pictures = packet.decode()
      except av.FFmpegError as error:
        damaged, reason = min(damaged, place), reason or error.strerror
        continue
      for picture in pictures:
        origin = places.pop(picture.pts, place)
        if picture.is_corrupt:
          damaged = min(damaged, origin)
          reason = reason or 'the decoder calls it corrupt'
        if origin >= damaged:
          self._report(reason)
          if picture.key_frame and origin > damaged:
            damaged, reason = math.inf, ''
        if origin < damaged:
          yield picture
    if reason:
      self._report(reason)

  def _packets(self, stream: av.VideoStream) -> Iterator[av.Packet]:
    """Those of `decoder.packets`; where reading fails for good, reports it."""
    try:
      yield from decoder.packets(stream)
    except av.FFmpegError as error:
      if error.errno in decoder.NOT_DAMAGE:
        raise
      self._report(error.strerror)

  def _report(self, reason: str):
    """Keeps the first reason for what is missing before the next frame."""
    self._damage.setdefault(self.num_frames, reason)

  def _where(self, number: int) -> str:
    """'between frame 23 (0.92 s) and frame 24 (1.44 s)', for number 24."""
    name = lambda n: f'frame {n} ({self._times[n]:.6g} s)'
    if not number:
      return f'before {name(0)}'
    if number == self.num_frames:
      return f'after the last, {name(number - 1)}'
    return f'between {name(number - 1)} and {name(number)}'

  def _compare(self, stream: av.VideoStream) -> str:
    """Says what the header claims, if that is more than there is."""
    if stream.frames:
      if stream.frames > self.num_frames:
        return (
            f'the header claims {stream.frames} frames, {self.num_frames} are'
            ' good'
        )
      return ''
    claimed = (stream.container.duration or 0) / av.time_base
    seconds = max(self._times) - min(self._times)
    if claimed > seconds + max(1, 0.05 * claimed):
      return f'the header claims {claimed:.1f} s, the frames span {seconds:.1f}'
    return ''
