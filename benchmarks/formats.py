"""Formats of clips for input_pipeline.py, and ways to read and decode them.

A way is a function of the place of a clip (a `Place`) and of the numbers of the
frames to read, counted from the clip's first frame (int64 [n], ascending and
without repeats). It returns the frames, uint8 [n, H, W, 3]. The functions
`fetch_*` take the same arguments and return encoded bytes.
"""

from collections.abc import Callable
import functools
import io
import os
import time
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

from rvm_jax.data import records
from rvm_jax.data.shards import array_records
from rvm_jax.data.shards import source as packed_lib
from rvm_jax.data.video import decoder
from rvm_jax.data.video import index
from rvm_jax.data.video import reader
from rvm_jax.data.video import sequences

# Names of the two ways that every format has.
OURS, SEQUENTIAL = 'this project', 'sequential'


class Place(NamedTuple):
  """Where a clip is stored.

  Attributes:
    path: path of the video file, of the folder of pictures, or of the shard.
    start: number of the clip's first frame in the video; 0 in a shard.
    contents: the video's `reader.Contents`; for a packed clip the features of
      its record by name, as `rvm_jax.data.shards.schema` describes them.
    number: number of the record in the shard; None if the clip is not packed.
  """

  path: str
  start: int
  contents: Any
  number: int | None = None


class Format(NamedTuple):
  """A format of clips.

  Attributes:
    name: name in the tables.
    fetch: function that reads the encoded bytes of the frames and decodes
      nothing.
    sequential: the way of plain decoding, whose frames are the reference.
    ways: further ways by name, without that of this project.
  """

  name: str
  fetch: Callable[[Place, np.ndarray], list[bytes]]
  sequential: Callable[[Place, np.ndarray], np.ndarray]
  ways: dict[str, Callable[[Place, np.ndarray], np.ndarray]]


class Clock:
  """Sums up CPU seconds by name."""

  def __init__(self):
    self.spent: dict[str, float] = {}

  def __call__(self, name: str, function, *arguments) -> Any:
    """Returns what a function returns, and counts the time that it takes."""
    start = time.process_time()
    result = function(*arguments)
    seconds = time.process_time() - start
    self.spent[name] = self.spent.get(name, 0.0) + seconds
    return result


def find(
    source: records.Source, record: records.Record
) -> tuple[Format, Place]:
  """Returns the format and the place of a record's clip.

  Args:
    source: the source that the record is from.
    record: the record.
  """
  if isinstance(source, packed_lib.Packed):
    path, number = source._catalog.locate(
        int(source._clips.ids[record.clip[0]])
    )
    example = packed_lib._parse(array_records.read(path, number))
    kind = {b'jpeg': PACKED_JPEG, b'mp4': PACKED_MP4}[example['encoding']]
    return kind, Place(path, 0, example, number)
  # The source names the file and the frame that the clip begins with.
  clip = np.array([record.clip[0], 0], np.int64)
  path, _, start = source.describe(clip).rpartition(' from frame ')
  good, _ = index.build([path])
  _, contents = index.load(index.database(), good[path].row)
  kind = FRAMES if os.path.isdir(path) else VIDEO
  return kind, Place(path, int(start), contents)


def read_record(
    record: records.Record, place: Place, numbers: np.ndarray
) -> np.ndarray:
  """Reads frames of a record as this project does; `place` is not needed."""
  del place
  return record.read(numbers)


def read(
    clock: Clock,
    ways: dict[str, Callable],
    turn: int,
    place: Place,
    numbers: np.ndarray,
) -> dict[str, np.ndarray]:
  """Reads frames in all ways; returns the frames by the name of the way.

  Args:
    clock: counts the time of each way.
    ways: the ways by name. If a way of another project is not installed or
      cannot read the file, the result lacks it.
    turn: number of the turn. Each turn begins with another way.
    place: where the clip is.
    numbers: numbers of the frames.

  Raises:
    ImportError, RuntimeError: the way of this project or sequential decoding
      has failed.
  """
  images = {}
  order = np.roll(list(ways), turn).tolist()
  for way in order:
    try:
      images[way] = clock(way, ways[way], place, numbers)
    # torchcodec raises RuntimeError if it finds no FFmpeg; torchcodec and
    # decord2 raise it for a file that they cannot read.
    except (ImportError, RuntimeError):
      if way in (OURS, SEQUENTIAL):
        raise
  return {way: images[way] for way in ways if way in images}


def fetch_packets(place: Place, numbers: np.ndarray) -> list[bytes]:
  """Reads the packets from the last key frame up to the last wanted frame.

  The key frame is the last one that is not after the first wanted frame.
  """
  timestamps, keys = place.contents.timestamps, place.contents.key_frames
  numbers = numbers + place.start
  pieces = []
  with decoder.open_stream(place.path) as stream:
    keys = keys[keys <= numbers[0]]
    if timestamps.size and keys.size and keys[-1]:
      stream.container.seek(int(timestamps[keys[-1]]), stream=stream)
    wanted = set(timestamps[numbers].tolist()) if timestamps.size else set()
    for count, packet in enumerate(decoder.packets(stream)):
      pieces.append(bytes(packet))
      wanted.discard(packet.pts)
      if not wanted and (timestamps.size or count == numbers[-1]):
        break
  return pieces


def read_plain(
    place: Place, numbers: np.ndarray, is_sparing: bool
) -> np.ndarray:
  """Decodes a video with PyAV from its start to the last wanted frame.

  Args:
    place: where the clip is.
    numbers: numbers of the frames.
    is_sparing: whether only the wanted frames are converted to RGB. Otherwise
      all frames up to the last wanted one are.
  """
  numbers = set((numbers + place.start).tolist())
  images = []
  with av.open(_file(place)) as container:
    stream = container.streams.video[0]
    stream.thread_type = 'NONE'
    for number, frame in enumerate(container.decode(stream)):
      if number in numbers or not is_sparing:
        pixels = frame.reformat(format='rgb24', threads=1).to_ndarray()
      if number in numbers:
        images.append(pixels)
        if len(images) == len(numbers):
          break
  return np.stack(images)


def _file(place: Place) -> str | io.BytesIO:
  """Returns the path of a video file, or the mp4 file in a packed clip."""
  if isinstance(place.contents, reader.Contents):
    return place.path
  return io.BytesIO(place.contents['frames'])


def fetch_record(place: Place, numbers: np.ndarray) -> list[bytes]:
  """Reads the record of a packed clip, which has all of its frames."""
  del numbers
  return [array_records.read(place.path, place.number)]


def read_packed_jpeg(place: Place, numbers: np.ndarray) -> np.ndarray:
  """Decodes the JPEG files of a packed clip that is in memory already."""
  frames, offsets = place.contents['frames'], place.contents['offsets']
  return decode_pillow([frames[offsets[i] : offsets[i + 1]] for i in numbers])


def read_torchcodec(place: Place, numbers: np.ndarray) -> np.ndarray:
  """Decodes with torchcodec on one thread, without scanning the file first."""
  from torchcodec import decoders  # pylint: disable=g-import-not-at-top

  video = decoders.VideoDecoder(
      place.path,
      dimension_order='NHWC',
      num_ffmpeg_threads=1,
      seek_mode='approximate',
  )
  return video.get_frames_at((numbers + place.start).tolist()).data.numpy()


def read_decord(place: Place, numbers: np.ndarray) -> np.ndarray:
  """Decodes with decord2, on one thread."""
  import decord  # pylint: disable=g-import-not-at-top

  video = decord.VideoReader(place.path, num_threads=1)
  return video.get_batch((numbers + place.start).tolist()).asnumpy()


def fetch_pictures(place: Place, numbers: np.ndarray) -> list[bytes]:
  """Reads the files of the wanted pictures of a folder."""
  names = sequences.list_names(place.path)
  pieces = []
  for number in (numbers + place.start).tolist():
    with open(os.path.join(place.path, names[number]), 'rb') as file:
      pieces.append(file.read())
  return pieces


def read_pillow(place: Place, numbers: np.ndarray) -> np.ndarray:
  """Reads and decodes the pictures of a folder with Pillow."""
  return decode_pillow(fetch_pictures(place, numbers))


def decode_pillow(pieces: list[bytes]) -> np.ndarray:
  """Decodes pictures of one size; returns them as uint8 [n, H, W, 3]."""
  return np.stack([np.asarray(Image.open(io.BytesIO(x))) for x in pieces])


VIDEO = Format(
    'video',
    fetch_packets,
    functools.partial(read_plain, is_sparing=True),
    {
        'PyAV, all frames': functools.partial(read_plain, is_sparing=False),
        'torchcodec': read_torchcodec,
        'decord2': read_decord,
    },
)
PACKED_MP4 = Format(
    'packed mp4',
    fetch_record,
    functools.partial(read_plain, is_sparing=True),
    {'PyAV, all frames': functools.partial(read_plain, is_sparing=False)},
)
PACKED_JPEG = Format('packed jpeg', fetch_record, read_packed_jpeg, {})
FRAMES = Format('frames', fetch_pictures, read_pillow, {})
