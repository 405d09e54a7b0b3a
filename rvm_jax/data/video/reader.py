"""Finds out which frames of a video decode, and reads exactly these frames.

Headers may claim frames that are not there, timestamps may start anywhere and
be unevenly spaced, and a seek may land anywhere. So `scan` decodes a file once
and returns what it holds. Given that, `read` returns any frames: it seeks,
checks where the seek landed, and decodes from the start if it went wrong.

The number of a frame is its place in the order in which the decoder returns
frames, counted from 0.

Two other kinds of videos are made of pictures: a folder of numbered pictures
(`sequences`), and a video in a set that tensorflow-datasets prepared
(`prepared`). Each frame can be read on its own there, so there is no seeking.
"""

from collections.abc import Iterator, Sequence
import dataclasses

import av
import numpy as np

from rvm_jax.data.video import decoder
from rvm_jax.data.video import pictures
from rvm_jax.data.video import sequences
from rvm_jax.data.video import timing

BrokenVideo = decoder.BrokenVideo

# Values of `Contents.lead` to try, in this order. In a stream without an index
# (MPEG-TS), a seek lands later than the timestamp to which it is aimed.
_LEADS = (0, 16)


@dataclasses.dataclass(frozen=True)
class Contents:
  """What a video file holds, as found by decoding all of it.

  Attributes:
    num_frames: number of frames that decode, at least 1.
    frame_rate: mean frames per second, from the timestamps of the frames; 25
      for a video made of pictures.
    height: height of the upright frames in pixels.
    width: width of the upright frames in pixels.
    timestamps: timestamps of the frames in the stream's time base, int64
      [num_frames]; empty if they do not tell the frames apart.
    key_frames: numbers of the key frames, at which decoding can begin after a
      seek, int64 [M]; empty if seeks do not work in this file.
    lead: number of frames by which a seek has to aim before a key frame so that
      it does not land after it.
    is_interlaced: whether some frame is made of two fields.
    note: what is wrong with a file that is usable in part; '' if nothing is.
  """

  num_frames: int
  frame_rate: float
  height: int
  width: int
  timestamps: np.ndarray
  key_frames: np.ndarray
  lead: int
  is_interlaced: bool
  note: str


def scan(path: str) -> Contents:
  """Decodes a video from start to end and reports what it holds.

  Decoding ends at the first damaged frame; the frames before it are usable, and
  `note` mentions the damage. To find out whether seeks work in the file, frames
  that are found by seeking are compared with those that were decoded from the
  start.

  Args:
    path: path of the file, of a folder of pictures, or of a video in a prepared
      set.

  Returns:
    What the video holds.

  Raises:
    BrokenVideo: no frame of a video file decodes, or a picture of a video made
      of pictures cannot be read.
  """
  if pictures.module_of(path):
    return _scan_pictures(path)
  timestamps, checksums, key_frames, note = [], [], [], ''
  is_interlaced, shape = False, None
  with decoder.open_stream(path) as stream:
    try:
      for frame in decoder.usable(path, stream):
        shape = shape or decoder.shape(frame)
        if frame.key_frame:
          key_frames.append(len(timestamps))
        timestamps.append(frame.pts)
        checksums.append(decoder.checksum(frame))
        is_interlaced |= frame.interlaced_frame
    except BrokenVideo as error:
      note = error.reason
    if not timestamps:
      raise BrokenVideo(path, 'no frame in it decodes')
    frame_rate = timing.frame_rate(timestamps, stream)
    note = note or timing.shortfall(stream, len(timestamps), frame_rate)
  contents = Contents(
      num_frames=len(timestamps),
      frame_rate=frame_rate,
      height=shape[0],
      width=shape[1],
      timestamps=_distinct(timestamps),
      key_frames=np.array(key_frames, np.int64),
      lead=0,
      is_interlaced=is_interlaced,
      note=note,
  )
  # Take the first lead with which seeks give the right frames. If none does,
  # list no key frames, so that `read` decodes from the start.
  for lead in _LEADS:
    contents = dataclasses.replace(contents, lead=lead)
    if _seeks_agree(path, contents, checksums):
      return contents
  return dataclasses.replace(contents, key_frames=np.zeros(0, np.int64))


def read(path: str, contents: Contents, numbers: Sequence[int]) -> np.ndarray:
  """Reads frames of a video.

  Args:
    path: path of the video, as `scan` takes it.
    contents: what the video holds, as `scan` returned it.
    numbers: numbers of the n frames to read, in [0, contents.num_frames), in
      any order. A number may occur several times.

  Returns:
    The frames in the order of `numbers`, RGB, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: a frame cannot be read, even by decoding from the start.
    IndexError: a number is out of range.
  """
  numbers = np.asarray(numbers, np.int64)
  wanted = np.unique(numbers)
  if wanted.size and not 0 <= wanted[0] <= wanted[-1] < contents.num_frames:
    raise IndexError(
        f'{path}: expected frame numbers in [0, {contents.num_frames}), got'
        f' {wanted.tolist()}'
    )
  images = np.empty((len(wanted), contents.height, contents.width, 3), np.uint8)
  if module := pictures.module_of(path):
    module.read(path, contents.num_frames, wanted, images)
  else:
    _read_file(path, contents, wanted, images)
  if np.array_equal(wanted, numbers):
    return images
  return images[np.searchsorted(wanted, numbers)]


def _read_file(
    path: str, contents: Contents, wanted: np.ndarray, images: np.ndarray
):
  """Reads frames of a video file.

  Args:
    path: path of the file.
    contents: what the file holds.
    wanted: numbers of the n frames to read, ascending, int64 [n].
    images: array to which the frames are written, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: a frame cannot be read, even by decoding from the start.
  """
  # `missing` has a row of `images` for each frame that is still to be found.
  missing = dict(zip(wanted.tolist(), images))
  shape = images.shape[1:]
  rgb = decoder.RGB()

  def keep(number: int, frame: av.VideoFrame):
    pixels = rgb(frame)
    if pixels.shape != shape:
      raise BrokenVideo(path, f'frame {number} is {pixels.shape}, not {shape}')
    missing.pop(number)[:] = pixels

  # Seek; decode from the start only for what seeking did not find.
  with decoder.open_stream(path) as stream:
    for number, frame in _seek(stream, contents, wanted):
      keep(number, frame)
  if missing:
    with decoder.open_stream(path) as stream:
      for number, frame in enumerate(decoder.from_start(stream)):
        if number in missing:
          keep(number, frame)
        if not missing:
          break
  if missing:
    raise BrokenVideo(path, f'frames {sorted(missing)} no longer decode')


def _scan_pictures(path: str) -> Contents:
  """Returns what a video made of pictures holds; see `pictures.measure`."""
  num_frames, height, width = pictures.measure(path)
  return Contents(
      num_frames=num_frames,
      frame_rate=sequences.FRAME_RATE,
      height=height,
      width=width,
      timestamps=np.zeros(0, np.int64),
      key_frames=np.zeros(0, np.int64),
      lead=0,
      is_interlaced=False,
      note='',
  )


def _seek(
    stream: av.VideoStream, contents: Contents, wanted: np.ndarray
) -> Iterator[tuple[int, av.VideoFrame]]:
  """Yields (number, frame) for the wanted frames that are found by seeking.

  Args:
    stream: a stream that was just opened.
    contents: what the file holds.
    wanted: frame numbers, ascending, int64 [n].
  """
  timestamps = contents.timestamps
  if not timestamps.size:
    return
  # Group the wanted frames by the last key frame at or before each of them, and
  # seek once for each group.
  starts = np.union1d(0, contents.key_frames)
  places = np.searchsorted(starts, wanted, side='right') - 1
  for place in np.unique(places):
    start = int(starts[place])
    numbers = {
        int(timestamps[number]): int(number)
        for number in wanted[places == place]
    }
    frames = decoder.from_key(
        stream,
        key=int(timestamps[start]) if start else None,
        aim=int(timestamps[max(0, start - contents.lead)]),
        wanted=set(numbers),
        is_interlaced=contents.is_interlaced,
    )
    for frame in frames:
      yield numbers[frame.pts], frame


def _seeks_agree(path: str, contents: Contents, checksums: list[int]) -> bool:
  """Returns whether seeks give the frames that decoding from the start gave.

  The key frame in the middle and the last one are tried, and for each a frame
  shortly after it.

  Args:
    path: path of the file.
    contents: what the file holds.
    checksums: checksum of each frame, from decoding from the start.
  """
  keys = contents.key_frames[contents.key_frames > 0]
  if not keys.size:
    return True
  for key in {int(keys[len(keys) // 2]), int(keys[-1])}:
    numbers = np.unique([key, min(key + 3, contents.num_frames - 1)])
    with decoder.open_stream(path) as stream:
      found = {
          number: decoder.checksum(frame)
          for number, frame in _seek(stream, contents, numbers)
      }
    if found != {number: checksums[number] for number in numbers.tolist()}:
      return False
  return True


def _distinct(timestamps: list[int | None]) -> np.ndarray:
  """Returns timestamps as an array, which is empty unless all are different."""
  if None in timestamps or len(set(timestamps)) < len(timestamps):
    return np.zeros(0, np.int64)
  return np.array(timestamps, np.int64)
