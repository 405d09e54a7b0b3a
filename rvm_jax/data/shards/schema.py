"""The record of a packed clip: what it holds, and how to write and read it.

A record is an example of tensorflow-datasets with these features:

  frames: the JPEG files of the n frames one after the other, or one mp4 file.
  offsets: byte in `frames` at which each JPEG file begins, then the size of
    `frames`, int64 [n + 1]; for mp4 [0, size of `frames`].
  encoding: 'jpeg' or 'mp4'.
  num_frames, height, width: n, and the size in pixels of the upright frames.
  start: number of the clip's first frame in its video.
  frame_rate: frames per second of the video. Packing leaves out no frames.
  video: path of the video, relative to the folder of its source.
  label: label of the video in its manifest; '' if it has none.
  crc32: CRC-32 of `frames`.

An mp4 file is H.264 without B-frames, with a key frame every `KEY_INTERVAL`
frames, so that decoding of any frame may begin shortly before it. The same
frames give the same bytes with the same versions of PyAV and Pillow.
"""

from collections.abc import Iterable, Mapping, Sequence
import fractions
import functools
import io
from typing import Any
import zlib

import av
import numpy as np
from PIL import Image

from rvm_jax.data.video import decoder

# Changes when older code could not read newer records, or the reverse.
SCHEMA_VERSION = 1
# Distance between key frames of an mp4 file, in frames.
KEY_INTERVAL = 16

# Greatest denominator of a frame rate in an mp4 file: 30000/1001 stays exact.
_MAX_DENOMINATOR = 1001


@functools.cache
def features() -> Any:
  """Returns the features of a record, a `tfds.features.FeaturesDict`.

  Raises:
    ImportError: tensorflow-datasets is not installed.
  """
  try:
    # An optional dependency, which does not import TensorFlow for this.
    import tensorflow_datasets as tfds
  except ImportError as error:
    raise ImportError(
        'packed clips need tensorflow-datasets and array_record: pip install'
        " 'rvm_jax[shards]'"
    ) from error
  integer = tfds.features.Scalar(np.int64)
  return tfds.features.FeaturesDict(
      {
          'frames': tfds.features.Tensor(shape=(), dtype=np.bytes_),
          'offsets': tfds.features.Tensor(shape=(None,), dtype=np.int64),
          'encoding': tfds.features.Text(),
          'num_frames': integer,
          'height': integer,
          'width': integer,
          'start': integer,
          # Without an encoding it would be rounded to 32 bits.
          'frame_rate': tfds.features.Tensor(
              shape=(), dtype=np.float64, encoding='bytes'
          ),
          'video': tfds.features.Text(),
          'label': tfds.features.Text(),
          'crc32': integer,
      }
  )


def serialize(example: Mapping[str, Any]) -> bytes:
  """Returns the bytes of a record; equal examples give equal bytes.

  Args:
    example: the values of the features by name; `crc32` is computed here.

  Raises:
    ImportError: tensorflow-datasets is not installed.
  """
  from tensorflow_datasets.core import example_serializer

  whole = {**example, 'crc32': zlib.crc32(example['frames'])}
  serializer = example_serializer.ExampleSerializer(
      features().get_serialized_info()
  )
  message = serializer.get_tf_example(features().encode_example(whole))
  return message.SerializeToString(deterministic=True)


def pack_jpeg(
    frames: Iterable[np.ndarray], quality: int
) -> tuple[bytes, np.ndarray]:
  """Returns `frames` and `offsets` of a record with one JPEG file per frame.

  Args:
    frames: the n frames, RGB, uint8 [H, W, 3] each.
    quality: quality of the JPEG files, 1 to 95.
  """
  content, offsets = io.BytesIO(), [0]
  for frame in frames:
    Image.fromarray(frame).save(content, 'JPEG', quality=quality)
    offsets.append(content.tell())
  return content.getvalue(), np.array(offsets, np.int64)


def pack_mp4(
    frames: Iterable[np.ndarray], frame_rate: float, crf: int
) -> tuple[bytes, np.ndarray]:
  """Returns `frames` and `offsets` of a record with one mp4 file.

  Args:
    frames: the frames, RGB, uint8 [H, W, 3] each, at least one.
    frame_rate: frames per second that the file states, rounded to a fraction
      whose denominator is at most 1001; lower rates become 1/1001.
    crf: CRF of the H.264 encoder, 0 (lossless but for colours) to 51 (worst).

  Raises:
    ValueError: height or width is odd.
  """
  least = fractions.Fraction(1, _MAX_DENOMINATOR)
  exact = fractions.Fraction(frame_rate)
  rate = max(least, exact.limit_denominator(_MAX_DENOMINATOR))
  content, stream = io.BytesIO(), None
  options = {
      'crf': str(crf),
      'g': str(KEY_INTERVAL),
      'bf': '0',
      # No further key frames at scene cuts.
      'sc_threshold': '0',
  }
  with av.open(content, 'w', format='mp4') as container:
    for frame in frames:
      height, width, _ = frame.shape
      if stream is None:
        if height % 2 or width % 2:
          raise ValueError(
              f'mp4 needs frames of even size, got {width} x {height}'
          )
        stream = container.add_stream('libx264', rate, options)
        stream.height, stream.width = height, width
        stream.pix_fmt = 'yuv420p'
        # With more threads the bytes would depend on their number.
        stream.codec_context.thread_count = 1
      image = av.VideoFrame.from_ndarray(frame, format='rgb24')
      container.mux(stream.encode(image))
    container.mux(stream.encode())
  data = content.getvalue()
  return data, np.array([0, len(data)], np.int64)


def name(example: Mapping[str, Any]) -> str:
  """Returns a record's name for people, such as 'a.mp4, frames 64 to 127'."""
  last = example['start'] + example['num_frames'] - 1
  return f'{_text(example["video"])}, frames {example["start"]} to {last}'


def read(
    example: Mapping[str, Any], numbers: Sequence[int], verify: bool = True
) -> np.ndarray:
  """Decodes frames of a record, and few others.

  Args:
    example: the record, as a data source of tensorflow-datasets returns it.
    numbers: numbers of the n frames to read, counted from the clip's first, in
      [0, num_frames), in any order.
    verify: whether to compare the CRC-32 of `frames` with `crc32`. A reader of
      array_record has already compared a hash of the whole record.

  Returns:
    The frames in the order of `numbers`, RGB, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: the record is damaged. The error names it as `name` does.
    IndexError: a number is out of range.
  """
  numbers = np.asarray(numbers, np.int64)
  wanted = np.unique(numbers)
  if wanted.size and not 0 <= wanted[0] <= wanted[-1] < example['num_frames']:
    raise IndexError(
        f'{name(example)}: expected frame numbers in'
        f' [0, {example["num_frames"]}), got {wanted.tolist()}'
    )
  if verify and (found := zlib.crc32(example['frames'])) != example['crc32']:
    raise decoder.BrokenVideo(
        name(example),
        f'damaged: expected CRC-32 {example["crc32"]:08x}, got {found:08x}',
    )
  images = np.empty(
      (len(wanted), example['height'], example['width'], 3), np.uint8
  )
  decode = _DECODERS.get(_text(example['encoding']))
  if decode is None:
    raise decoder.BrokenVideo(
        name(example),
        f'expected encoding {" or ".join(_DECODERS)}, got'
        f' {_text(example["encoding"])!r}',
    )
  decode(example, wanted, images)
  if np.array_equal(wanted, numbers):
    return images
  return images[np.searchsorted(wanted, numbers)]


def _read_jpeg(
    example: Mapping[str, Any], wanted: np.ndarray, images: np.ndarray
):
  """Decodes JPEG files.

  Args:
    example: the record.
    wanted: numbers of the n frames to read, ascending, int64 [n].
    images: array to which the frames are written, uint8 [n, height, width, 3].

  Raises:
    BrokenVideo: a frame does not decode or has another size.
  """
  frames, offsets = memoryview(example['frames']), example['offsets']
  if len(offsets) != example['num_frames'] + 1 or offsets[-1] != len(frames):
    raise decoder.BrokenVideo(name(example), 'offsets do not fit the frames')
  for image, number in zip(images, wanted.tolist()):
    content = io.BytesIO(frames[offsets[number] : offsets[number + 1]])
    try:
      with Image.open(content, formats=('JPEG',)) as picture:
        # Converting a picture that is RGB already would copy it.
        rgb = picture if picture.mode == 'RGB' else picture.convert('RGB')
        pixels = np.asarray(rgb)
    except OSError as error:
      raise decoder.BrokenVideo(
          name(example), f'frame {number} does not decode: {error}'
      ) from error
    _keep(example, number, pixels, image)


def _read_mp4(
    example: Mapping[str, Any], wanted: np.ndarray, images: np.ndarray
):
  """Decodes an mp4 file from the last key frames before the wanted frames.

  It takes the arguments of `_read_jpeg`, and raises the same errors.
  """
  rows = dict(zip(wanted.tolist(), images))
  rgb = decoder.RGB()
  with decoder.open_stream(name(example), example['frames']) as stream:
    # Without B-frames a packet is a frame, in the order in which frames are
    # shown. The last packet is empty and asks for frames that are held back.
    *packets, end = decoder.packets(stream)
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    if len(packets) != example['num_frames'] or keys[:1] != [0]:
      raise decoder.BrokenVideo(
          name(example),
          f'expected {example["num_frames"]} frames, got {len(packets)}',
      )
    # For each key frame, take the packets up to the last wanted frame before
    # the next key frame.
    needed = []
    for key, stop in zip(keys, [*keys[1:], len(packets)]):
      group = wanted[(wanted >= key) & (wanted < stop)]
      if group.size:
        needed += packets[key : group[-1] + 1]
    number_of = {packet.pts: i for i, packet in enumerate(packets)}
    for packet in [*needed, end]:
      for frame in packet.decode():
        number = number_of.get(frame.pts)
        if number in rows:
          _keep(example, number, rgb(frame), rows.pop(number))
  if rows:
    raise decoder.BrokenVideo(
        name(example), f'frames {sorted(rows)} do not decode'
    )


def _keep(
    example: Mapping[str, Any],
    number: int,
    pixels: np.ndarray,
    image: np.ndarray,
):
  """Copies `pixels` to `image`; raises BrokenVideo if their shapes differ."""
  if pixels.shape != image.shape:
    raise decoder.BrokenVideo(
        name(example), f'frame {number} is {pixels.shape}, not {image.shape}'
    )
  image[:] = pixels


def _text(value: str | bytes) -> str:
  """Returns a text feature as str; tensorflow-datasets reads it as bytes."""
  return value.decode() if isinstance(value, bytes) else value


_DECODERS = {'jpeg': _read_jpeg, 'mp4': _read_mp4}
