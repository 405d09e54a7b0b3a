"""Frames and values of a packed clip are read as they were written."""

import io
import sys

import av
from av.video.frame import PictureType
import numpy as np
import pytest

from rvm_jax.data.shards import schema
from rvm_jax.data.video import reader
from tests.data.shards import clips

pytest.importorskip('tensorflow_datasets')


def stored(frames, encoding, **values):
  """Returns a record as it is read from a shard."""
  record = schema.serialize(clips.example(frames, encoding, **values))
  return dict(schema.features().deserialize_example_np(record))


@pytest.mark.parametrize('encoding', ['jpeg', 'mp4'])
def test_read_returns_any_frames_in_the_order_asked_for(encoding):
  frames = clips.moving_frames(40)
  example = stored(frames, encoding)
  everything = schema.read(example, range(40))
  assert everything.dtype == np.uint8 and everything.shape == frames.shape
  assert np.abs(everything.astype(int) - frames).mean() < 5
  for numbers in ([0], [39], [16, 15], [5, 38, 5, 17], []):
    np.testing.assert_array_equal(
        schema.read(example, numbers), everything[numbers]
    )


def test_jpeg_read_decodes_only_the_wanted_frames(monkeypatch):
  example = stored(clips.moving_frames(8), 'jpeg')
  opened = []
  open_ = schema.Image.open
  monkeypatch.setattr(
      schema.Image,
      'open',
      lambda *args, **keywords: opened.append(1) or open_(*args, **keywords),
  )
  schema.read(example, [1, 6])
  assert len(opened) == 2


def test_mp4_read_begins_at_the_key_frame_before(monkeypatch):
  example = stored(clips.moving_frames(40), 'mp4')
  converted = []
  rgb = schema.decoder.RGB.__call__
  monkeypatch.setattr(
      schema.decoder.RGB,
      '__call__',
      lambda self, frame: converted.append(frame.pts) or rgb(self, frame),
  )
  decoded = []
  packets = schema.decoder.packets

  class Counted:
    """A packet that tells when it is decoded."""

    def __init__(self, packet):
      self._packet = packet

    def __getattr__(self, name):
      return getattr(self._packet, name)

    def decode(self):
      decoded.append(self._packet.pts)
      return self._packet.decode()

  monkeypatch.setattr(
      schema.decoder, 'packets', lambda stream: map(Counted, packets(stream))
  )
  schema.read(example, [1, 34])
  assert len(converted) == 2
  # Frames 0 and 1, 32 to 34, and the request for frames that are held back.
  assert len(decoded) == 2 + 3 + 1


def test_mp4_has_short_groups_without_b_frames():
  data, offsets = schema.pack_mp4(clips.moving_frames(40), 30000 / 1001, 23)
  assert offsets.tolist() == [0, len(data)]
  with av.open(io.BytesIO(data)) as container:
    stream = container.streams.video[0]
    assert float(stream.average_rate) == 30000 / 1001
    frames = list(container.decode(stream))
  assert [i for i, frame in enumerate(frames) if frame.key_frame] == [0, 16, 32]
  kinds = {frame.pict_type for frame in frames}
  assert kinds == {PictureType.I, PictureType.P}


def test_mp4_of_a_time_lapse_is_read():
  frames = clips.moving_frames(3)
  data, offsets = schema.pack_mp4(frames, 1 / 3600, 10)
  example = clips.example(frames, 'mp4')
  example |= {'frames': data, 'offsets': offsets}
  record = schema.features().deserialize_example_np(schema.serialize(example))
  assert schema.read(record, range(3)).shape == frames.shape


def test_values_are_exact_and_bytes_are_reproducible():
  frames = clips.moving_frames(3)
  values = {
      'frame_rate': 30000 / 1001,
      'video': 'ordner/ä b.mp4',
      'label': 'läuft',
      'start': 2**40,
  }
  example = stored(frames, 'mp4', **values)
  assert example['frame_rate'].dtype == np.float64
  assert example['frame_rate'] == 30000 / 1001
  assert example['video'].decode() == 'ordner/ä b.mp4'
  assert example['label'].decode() == 'läuft'
  assert example['start'] == 2**40
  first, second = (
      schema.serialize(clips.example(frames, 'mp4', **values)) for _ in range(2)
  )
  assert first == second


def test_frames_that_end_in_zeros_stay_whole():
  example = clips.example(clips.moving_frames(1)) | {'frames': b'a\0b\0\0'}
  record = schema.features().deserialize_example_np(schema.serialize(example))
  assert record['frames'] == b'a\0b\0\0'


@pytest.mark.parametrize('encoding', ['jpeg', 'mp4'])
def test_damage_is_reported_with_the_records_name(encoding):
  example = stored(clips.moving_frames(4), encoding, start=64)
  content = bytearray(example['frames'])
  content[len(content) // 2] ^= 1
  with pytest.raises(
      reader.BrokenVideo, match='a.mp4, frames 64 to 67: damaged: .*CRC-32'
  ):
    schema.read(example | {'frames': bytes(content)}, [0])


@pytest.mark.parametrize(
    'encoding, change, message',
    [
        ('jpeg', {'num_frames': 5}, 'offsets do not fit'),
        ('mp4', {'num_frames': 5}, 'expected 5 frames, got 4'),
        ('jpeg', {'height': 99}, 'frame 0 is'),
        ('mp4', {'height': 99}, 'frame 0 is'),
        ('jpeg', {'encoding': b'gif'}, "jpeg or mp4, got 'gif'"),
    ],
)
def test_records_that_contradict_themselves_are_reported(
    encoding, change, message
):
  example = stored(clips.moving_frames(4), encoding)
  with pytest.raises(reader.BrokenVideo, match=f'a.mp4, .*{message}'):
    schema.read(example | change, [0])


def test_numbers_out_of_range_are_refused():
  example = stored(clips.moving_frames(2), 'jpeg')
  with pytest.raises(IndexError, match=r'a.mp4, .* in \[0, 2\), got \[2\]'):
    schema.read(example, [2])


def test_mp4_of_odd_size_is_refused():
  with pytest.raises(ValueError, match='even size, got 63 x 48'):
    schema.pack_mp4(clips.moving_frames(1, 48, 63), 25, 23)


def test_missing_library_is_named(monkeypatch):
  schema.features.cache_clear()
  monkeypatch.setitem(sys.modules, 'tensorflow_datasets', None)
  with pytest.raises(ImportError, match=r"pip install 'rvm_jax\[shards\]'"):
    schema.features()
