"""The stream of batches is the same for any workers, shards and restarts."""

from concurrent.futures import process
import json
import multiprocessing
import os
import re
import shutil

import numpy as np
import pytest

from tests import video_files
from tests.data import streams


def test_batches_have_the_documented_shapes_and_types(folders):
  (batch,) = streams.take(streams.build(folders).iterator(), 1)
  assert {key: (v.shape, v.dtype.name) for key, v in batch.items()} == {
      'source': ((4, 3, 32, 48, 3), 'uint8'),
      'target': ((4, 2, 32, 48, 3), 'uint8'),
      'deltas': ((4, 2), 'int32'),
      'clip': ((4, 3), 'int64'),
      'skipped': ((4,), 'int32'),
  }


def test_samples_hold_the_frames_that_clip_and_deltas_name(folders):
  built = streams.build(
      folders,
      height=64,
      width=96,
      crop_area=(1.0, 1.0),
      flip=0.0,
      crop_aspect=(1.5, 1.5),
  )
  samples = streams.join(streams.take(built.iterator(), 5))
  assert samples['deltas'].min() >= 4 + 2 and samples['deltas'].max() <= 4 + 12
  for source, target, deltas, clip in zip(
      samples['source'], samples['target'], samples['deltas'], samples['clip']
  ):
    path, first = built.describe(clip).split(' from frame ')
    frames = np.stack(video_files.decode_all(path))
    first = int(first)
    assert first == clip[2]
    assert np.array_equal(source, frames[first + np.array([0, 2, 4])])
    assert np.array_equal(target, frames[first + deltas])


def test_all_frames_of_a_sample_have_the_same_crop_and_flip(folders):
  changes = dict(height=64, width=96, crop_area=(1.0, 1.0))
  changes |= dict(crop_aspect=(1.5, 1.5))
  plain = streams.join(
      streams.take(streams.build(folders, **changes, flip=0.0).iterator(), 6)
  )
  mixed = streams.join(
      streams.take(streams.build(folders, **changes, flip=0.5).iterator(), 6)
  )
  num_flipped = 0
  for key in ('source', 'target'):
    for a, b in zip(plain[key], mixed[key]):
      is_flipped = not np.array_equal(a, b)
      num_flipped += is_flipped
      assert np.array_equal(a[:, :, :: -1 if is_flipped else 1], b)
  assert 10 < num_flipped < 38


def test_batches_are_the_same_with_workers(folders):
  # `test_restored_iterator_continues_exactly_where_it_was` uses one worker.
  expected = streams.join(streams.take(streams.build(folders).iterator(), 7))
  batches = streams.build(folders, num_workers=2).iterator()
  streams.assert_same(streams.join(streams.take(batches, 7)), expected)


def test_restored_iterator_continues_exactly_where_it_was(folders):
  expected = streams.take(streams.build(folders).iterator(), 6)
  first = streams.build(folders).iterator()
  next(first), next(first)
  state = json.loads(json.dumps(first.get_state()))
  first.close()
  for changes in ({}, {'num_workers': 1}, {'prefetch': 3}):
    batches = streams.build(folders, **changes).iterator()
    batches.set_state(state)
    assert batches.get_state() == state
    streams.assert_same(
        streams.join(streams.take(batches, 4)), streams.join(expected[2:])
    )
  batches = streams.build(folders, batch_size=8).iterator()
  batches.set_state(state)
  streams.assert_same(
      streams.join(streams.take(batches, 2)), streams.join(expected[2:])
  )


def test_shards_together_give_the_whole_batch(folders):
  whole = streams.take(streams.build(folders).iterator(), 4)
  parts = [
      streams.take(
          streams.build(folders, shard_index=i, shard_count=2).iterator(), 4
      )
      for i in range(2)
  ]
  for batch, *halves in zip(whole, *parts):
    for key in batch:
      assert len(halves[0][key]) == 2
      together = np.concatenate([half[key] for half in halves])
      assert np.array_equal(together, batch[key])


def test_shards_resume_with_another_batch_size_and_number(folders):
  whole = streams.build(folders).iterator()
  expected = streams.join(streams.take(whole, 7))
  first = streams.build(
      folders, batch_size=6, shard_index=1, shard_count=3
  ).iterator()
  next(first)
  state = first.get_state()
  parts = []
  for i in range(2):
    shard = streams.build(folders, shard_index=i, shard_count=2).iterator()
    shard.set_state(state)
    parts.append(streams.take(shard, 2))
  for number, halves in enumerate(zip(*parts)):
    begin = 6 + 4 * number
    for key, rows in expected.items():
      together = np.concatenate([half[key] for half in halves])
      assert np.array_equal(together, rows[begin : begin + 4])


def test_facts_tell_other_data_apart(folders, tmp_path):
  def facts(*sources):
    return streams.build(sources, weights=(1.0,) * len(sources)).facts()

  found = facts(*folders)
  assert len(found) == 2
  assert found == facts(*folders)
  # Hosts may reach the same videos by other paths.
  copy = tmp_path / 'copy'
  shutil.copytree(folders[0], copy)
  assert facts(copy, folders[1]) == found
  assert facts(folders[1], folders[0]) != found
  next(copy.iterdir()).unlink()
  assert facts(copy, folders[1]) != found


def test_first_gives_the_first_samples_of_the_stream_in_any_shard(folders):
  expected = streams.join(streams.take(streams.build(folders).iterator(), 2))
  for changes in ({}, {'num_workers': 1}, dict(shard_index=1, shard_count=2)):
    first = streams.build(folders, **changes).first(6)
    streams.assert_same(
        first, {key: rows[:6] for key, rows in expected.items()}
    )


def test_order_of_samples_is_that_of_earlier_versions():
  # A run that was saved by an earlier version has to go on with the same data.
  sample = streams.build(('scenes', 'scenes'), height=8, width=8).first(8)
  assert sample['clip'].tolist() == [
      [0, 7, 1],
      [0, 4, 45],
      [0, 9, 18],
      [1, 3, 47],
      [0, 3, 16],
      [0, 1, 12],
      [1, 9, 43],
      [0, 2, 41],
  ]
  assert sample['deltas'][:4].tolist() == [[9, 14], [11, 13], [11, 11], [6, 16]]


def test_epochs_take_each_record_once_and_sources_by_their_weights(folders):
  (num_records,) = (
      streams.build(folders[:1], weights=(1.0,))
      .iterator()
      .get_state()['num_records']
  )
  alone = streams.build(folders[:1], weights=(1.0,), batch_size=num_records)
  epochs = streams.take(alone.iterator(), 2)
  videos = [np.sort(epoch['clip'][:, 1]) for epoch in epochs]
  assert np.array_equal(*videos)
  assert set(videos[0]) == set(range(5))
  orders = [epoch['clip'][:, 1] for epoch in epochs]
  assert not np.array_equal(*orders)
  assert not np.array_equal(orders[0], videos[0])
  clips = streams.join(streams.take(streams.build(folders).iterator(), 50))[
      'clip'
  ]
  assert (clips[:, 0] == 0).sum() == pytest.approx(140, abs=1)


def test_generated_scenes_can_be_mixed_with_videos(folders):
  built = streams.build(
      ('scenes', folders[0]), weights=(0.5, 0.5), height=16, width=16
  )
  batch = streams.join(streams.take(built.iterator(), 2))
  assert sorted(batch['clip'][:, 0]) == [0] * 4 + [1] * 4
  scene = batch['clip'][:, 0] == 0
  assert batch['source'][scene].std() > 0
  names = [built.describe(clip) for clip in batch['clip']]
  assert ['.mp4' not in name for name in names] == scene.tolist()


def test_folders_of_pictures_give_the_stream_of_videos_with_these_frames(
    folders, tmp_path
):
  copies = []
  for folder in folders:
    copies.append(folder.replace(str(tmp_path), str(tmp_path / 'pictures')))
    for name in os.listdir(folder):
      video_files.write_folder(
          os.path.join(copies[-1], os.path.splitext(name)[0]),
          video_files.decode_all(os.path.join(folder, name)),
          'img_{}.png',
      )
  # The videos 0, 3 and 4 are kept out.
  settings = dict(frame_rate=15.0, held_out_share=0.4)
  videos, pictures = streams.build(folders, **settings), streams.build(
      copies, **settings
  )
  assert pictures.facts() == videos.facts()
  first = videos.iterator()
  expected = streams.take(first, 6)
  streams.assert_same(
      streams.join(streams.take(pictures.iterator(), 6)), streams.join(expected)
  )
  streams.assert_same(
      pictures.read_held_out(range(4)), videos.read_held_out(range(4))
  )
  # A run goes on with pictures where it was with videos.
  first = videos.iterator()
  next(first)
  batches = pictures.iterator()
  batches.set_state(first.get_state())
  first.close()
  streams.assert_same(
      streams.join(streams.take(batches, 5)), streams.join(expected[1:])
  )


def test_a_picture_that_breaks_after_indexing_is_named(tmp_path, warnings):
  for name in ('bear', 'cow'):
    frames = [video_files.picture(number, 24, 32) for number in range(20)]
    video_files.write_folder(tmp_path / name, frames)
  built = streams.build((str(tmp_path),), weights=(1.0,))
  for path in (tmp_path / 'cow').iterdir():
    path.write_bytes(path.read_bytes()[:-30])
  samples = streams.join(streams.take(built.iterator(), 3))
  assert samples['skipped'].any() and not samples['clip'][:, 1].any()
  (message,) = warnings
  assert re.search(r'clip is skipped: .*/cow: 000..\.png: ', message)


def test_another_seed_gives_other_samples(folders):
  a = streams.join(streams.take(streams.build(folders).iterator(), 3))
  b = streams.join(streams.take(streams.build(folders, seed=6).iterator(), 3))
  assert not np.array_equal(a['clip'], b['clip'])


def test_files_that_break_after_indexing_are_skipped_and_counted(
    folders, warnings
):
  expected = streams.join(streams.take(streams.build(folders).iterator(), 10))
  built = streams.build(folders)
  broken = folders[0] + '/1.mp4'
  os.remove(broken)
  samples = streams.join(streams.take(built.iterator(), 10))
  is_broken = (expected['clip'][:, :2] == [0, 1]).all(axis=1)
  assert is_broken.any()
  assert np.array_equal(samples['skipped'] > 0, is_broken)
  assert not (samples['clip'][:, :2] == [0, 1]).all(axis=1).any()
  assert np.array_equal(samples['clip'][:, 0], expected['clip'][:, 0])
  for key in samples:
    assert np.array_equal(samples[key][~is_broken], expected[key][~is_broken])
  assert len(warnings) == 1 and broken in warnings[0]
  streams.assert_same(streams.join(streams.take(built.iterator(), 10)), samples)


def test_ten_broken_clips_in_a_row_end_the_run(folders):
  built = streams.build(folders, num_workers=1)
  for folder in folders:
    for name in os.listdir(folder):
      os.remove(os.path.join(folder, name))
  with pytest.raises(RuntimeError, match='10 clips in a row'):
    streams.take(built.iterator(), 1)


def test_restoring_with_changed_sources_warns(folders, warnings, make_video):
  state = streams.build(folders).iterator().get_state()
  make_video(folders[1] + '/new.mp4', 40)
  streams.build(folders).iterator().set_state(state)
  assert len(warnings) == 1 and 'The data has changed' in warnings[0]


@pytest.mark.parametrize(
    'changes, error',
    [
        ({'weights': (1.0,)}, 'one weight for each source'),
        ({'weights': (1.0, 0.0)}, 'must be positive'),
        ({'batch_size': 5, 'shard_count': 2}, 'multiple of 2 shards'),
        ({'prefetch': 0}, 'prefetch=0'),
        ({'max_gap': 1}, 'max_gap=1'),
        ({'box_height': 32}, 'box_width=None must be at least height=32 and'),
        ({'box_height': 31, 'box_width': 99}, 'box_height=31 and'),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(folders, changes, error):
  with pytest.raises(ValueError, match=error):
    streams.build(folders, **changes)


def test_batches_say_that_a_worker_was_killed(folders):
  batches = streams.build(folders, num_workers=1).iterator()
  try:
    next(batches)
    for worker in multiprocessing.active_children():
      worker.kill()
    with pytest.raises(process.BrokenProcessPool, match='signal 9 has ended a'):
      for _ in range(100):
        next(batches)
  finally:
    batches.close()
