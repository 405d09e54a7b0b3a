"""Video files: what truly decodes, and exact frames by seeking.

Headers lie about the number of frames, timestamps may start anywhere and be
unevenly spaced, and a seek lands where the container likes. So `scan` decodes
a file once and writes down what came out, and `read` uses that record to seek,
checks where it landed, and decodes from the start when the two disagree.

A frame's number is its place in the order in which the decoder puts frames
out, counted from 0.
"""

from collections.abc import Iterator, Sequence
import dataclasses

import av
import numpy as np

from rvm_jax.data.video import decoder

BrokenVideo = decoder.BrokenVideo

# Tried in turn: streams without an index (MPEG-TS) land past the time asked.
_LEADS = (0, 16)


@dataclasses.dataclass(frozen=True)
class Contents:
  """What a video file holds, found by decoding all of it.

  Attributes:
    num_frames: frames that decode, at least 1.
    frame_rate: frames per second over the whole file, from the timestamps of
      the decoded frames (an average where the rate varies).
    height: pixels, after rotation.
    width: pixels, after rotation.
    labels: int64 [num_frames] timestamps that tell the frames apart, in the
      stream's time base; [] if the stream has none that do.
    keys: int64 [M] numbers of the key frames, where decoding can begin after
      a seek; [] if seeks do not work in this file.
    lead: how many frames ahead of a key frame a seek has to aim to hit it.
    is_interlaced: some frame is made of two fields.
    note: what is wrong with a file that is usable all the same, or ''.
  """

  num_frames: int
  frame_rate: float
  height: int
  width: int
  labels: np.ndarray
  keys: np.ndarray
  lead: int
  is_interlaced: bool
  note: str


def scan(path: str) -> Contents:
  """Decodes the whole of `path` once and reports what it holds.

  Decoding ends at the first damaged frame; what comes before is usable, and
  `note` tells of it. Seeks to a late and to a middle key frame are compared
  with what decoding from the start gave: if they differ, the file is marked
  as one to be decoded from the start always.

  Raises:
    BrokenVideo: no frame could be decoded.
  """
  labels, sums, keys, note = [], [], [], ''
  is_interlaced, shape = False, None
  with decoder.open_stream(path) as stream:
    try:
      for frame in decoder.from_start(stream):
        shape = shape or decoder.shape(frame)
        if shape != decoder.shape(frame):
          note = f'frame size changes at frame {len(labels)}'
          break
        if frame.key_frame:
          keys.append(len(labels))
        labels.append(frame.pts)
        sums.append(decoder.checksum(frame))
        is_interlaced |= frame.interlaced_frame
    except av.FFmpegError as error:
      note = f'frame {len(labels)} is damaged: {error.strerror}'
    if not labels:
      raise BrokenVideo(path, 'no frame in it decodes')
    frame_rate = _frame_rate(labels, stream)
    note = note or _shortfall(stream, len(labels), frame_rate)
  contents = Contents(
      num_frames=len(labels),
      frame_rate=frame_rate,
      height=shape[0],
      width=shape[1],
      labels=_distinct(labels),
      keys=np.array(keys, np.int64),
      lead=0,
      is_interlaced=is_interlaced,
      note=note,
  )
  for lead in _LEADS:
    contents = dataclasses.replace(contents, lead=lead)
    if _seeks_agree(path, contents, sums):
      return contents
  return dataclasses.replace(contents, keys=np.zeros(0, np.int64))


def read(path: str, contents: Contents, numbers: Sequence[int]) -> np.ndarray:
  """Returns the frames of `path` with the given numbers.

  Args:
    path: the video file.
    contents: what `scan` said of it.
    numbers: frame numbers in [0, contents.num_frames), in any order.

  Returns:
    uint8 [len(numbers), height, width, 3], RGB.

  Raises:
    BrokenVideo: a frame cannot be read, even by decoding from the start.
    IndexError: a number is out of range.
  """
  numbers = np.asarray(numbers, np.int64)
  wanted = np.unique(numbers)
  if wanted.size and not 0 <= wanted[0] <= wanted[-1] < contents.num_frames:
    raise IndexError(
        f'{path}: frames {wanted.tolist()} asked for, of {contents.num_frames}'
    )
  shape = (contents.height, contents.width, 3)
  images = np.empty((len(wanted), *shape), np.uint8)
  missing = dict(zip(wanted.tolist(), images))
  rgb = decoder.RGB()

  def keep(number: int, frame: av.VideoFrame):
    pixels = rgb(frame)
    if pixels.shape != shape:
      raise BrokenVideo(path, f'a frame is {pixels.shape}, not {shape}')
    missing.pop(number)[:] = pixels

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
  if np.array_equal(wanted, numbers):
    return images
  return images[np.searchsorted(wanted, numbers)]


def _seek(
    stream, contents: Contents, wanted: np.ndarray
) -> Iterator[tuple[int, av.VideoFrame]]:
  """Yields (number, frame) of those of `wanted` that seeking finds."""
  labels = contents.labels
  if not labels.size:
    return
  starts = np.union1d(0, contents.keys)
  places = np.searchsorted(starts, wanted, side='right') - 1
  for place in np.unique(places):
    start = int(starts[place])
    numbers = {
        int(labels[number]): int(number) for number in wanted[places == place]
    }
    frames = decoder.from_key(
        stream,
        key=int(labels[start]) if start else None,
        aim=int(labels[max(0, start - contents.lead)]),
        wanted=set(numbers),
        is_interlaced=contents.is_interlaced,
    )
    for frame in frames:
      yield numbers[frame.pts], frame


def _seeks_agree(path: str, contents: Contents, sums: list[int]) -> bool:
  """Whether seeks to two key frames give what decoding from the start gave."""
  keys = contents.keys[contents.keys > 0]
  if not keys.size:
    return True
  for key in {int(keys[len(keys) // 2]), int(keys[-1])}:
    numbers = np.unique([key, min(key + 3, contents.num_frames - 1)])
    with decoder.open_stream(path) as stream:
      found = {
          number: decoder.checksum(frame)
          for number, frame in _seek(stream, contents, numbers)
      }
    if found != {number: sums[number] for number in numbers.tolist()}:
      return False
  return True


def _distinct(labels: list[int | None]) -> np.ndarray:
  if None in labels or len(set(labels)) < len(labels):
    return np.zeros(0, np.int64)
  return np.array(labels, np.int64)


def _frame_rate(labels: list[int | None], stream) -> float:
  times = [label for label in labels if label is not None]
  if len(times) > 1 and max(times) > min(times):
    seconds = (max(times) - min(times)) * stream.time_base
    return float((len(times) - 1) / seconds)
  return float(stream.average_rate or 25)


def _shortfall(stream, num_frames: int, frame_rate: float) -> str:
  """Says what the header claims, if that is clearly more than there is."""
  if stream.frames:
    if stream.frames > num_frames:
      return f'header claims {stream.frames} frames, {num_frames} decode'
    return ''
  claimed = (stream.container.duration or 0) / av.time_base
  seconds = num_frames / frame_rate
  if claimed > seconds + max(1, 0.05 * claimed):
    return f'header claims {claimed:.1f} s, {seconds:.1f} s decode'
  return ''
