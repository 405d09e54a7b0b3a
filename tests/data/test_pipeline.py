"""The stream of batches is the same for any workers, shards and restarts."""

from concurrent.futures import process
import json
import multiprocessing
import os
import re
import shutil

import numpy as np
import pytest

from rvm_jax.data import pipeline
from tests import video_files

SETTINGS = dict(
    num_scenes=10,
    num_source=3,
    num_target=2,
    stride=2,
    min_gap=2,
    max_gap=12,
    frame_rate=None,
    height=32,
    width=48,
    crop_area=(0.3, 1.0),
    crop_aspect=(0.75, 1.25),
    flip=0.5,
    max_bad_share=0.0,
    held_out_share=0.0,
    num_workers=0,
    prefetch=1,
    seed=5,
)


@pytest.fixture
def folders(tmp_path, make_video):
  for name, num_videos in {'many': 5, 'few': 2}.items():
    (tmp_path / name).mkdir()
    for number in range(num_videos):
      make_video(
          tmp_path / name / f'{number}.mp4',
          30 + 10 * number,
          options={'g': '12', 'bf': '3'},
      )
  return str(tmp_path / 'many'), str(tmp_path / 'few')


def build(folders, **changes):
  settings = dict(SETTINGS, sources=folders, weights=(0.7, 0.3), batch_size=4)
  return pipeline.Pipeline(**(settings | changes))


def take(batches, count):
  try:
    return [next(batches) for _ in range(count)]
  finally:
    batches.close()


def join(batches):
  """Concatenates batches into one dict of arrays over all samples."""
  return {
      key: np.concatenate([batch[key] for batch in batches])
      for key in batches[0]
  }


def assert_same(a, b):
  assert a.keys() == b.keys()
  for key in a:
    assert a[key].dtype == b[key].dtype, key
    assert np.array_equal(a[key], b[key]), key


def test_batches_have_the_documented_shapes_and_types(folders):
  (batch,) = take(build(folders).iterator(), 1)
  assert {key: (v.shape, v.dtype.name) for key, v in batch.items()} == {
      'source': ((4, 3, 32, 48, 3), 'uint8'),
      'target': ((4, 2, 32, 48, 3), 'uint8'),
      'deltas': ((4, 2), 'int32'),
      'clip': ((4, 3), 'int64'),
      'skipped': ((4,), 'int32'),
  }


def test_samples_hold_the_frames_that_clip_and_deltas_name(folders):
  built = build(
      folders,
      height=64,
      width=96,
      crop_area=(1.0, 1.0),
      flip=0.0,
      crop_aspect=(1.5, 1.5),
  )
  samples = join(take(built.iterator(), 5))
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
  plain = join(take(build(folders, **changes, flip=0.0).iterator(), 6))
  mixed = join(take(build(folders, **changes, flip=0.5).iterator(), 6))
  num_flipped = 0
  for key in ('source', 'target'):
    for a, b in zip(plain[key], mixed[key]):
      is_flipped = not np.array_equal(a, b)
      num_flipped += is_flipped
      assert np.array_equal(a[:, :, :: -1 if is_flipped else 1], b)
  assert 10 < num_flipped < 38


@pytest.mark.parametrize('num_workers', [1, 2])
def test_batches_are_the_same_for_any_number_of_workers(folders, num_workers):
  expected = join(take(build(folders).iterator(), 7))
  batches = build(folders, num_workers=num_workers).iterator()
  assert_same(join(take(batches, 7)), expected)


def test_restored_iterator_continues_exactly_where_it_was(folders):
  expected = take(build(folders).iterator(), 6)
  first = build(folders).iterator()
  next(first), next(first)
  state = json.loads(json.dumps(first.get_state()))
  first.close()
  for changes in ({}, {'num_workers': 1}, {'prefetch': 3}):
    batches = build(folders, **changes).iterator()
    batches.set_state(state)
    assert batches.get_state() == state
    assert_same(join(take(batches, 4)), join(expected[2:]))
  batches = build(folders, batch_size=8).iterator()
  batches.set_state(state)
  assert_same(join(take(batches, 2)), join(expected[2:]))


def test_shards_together_give_the_whole_batch(folders):
  whole = take(build(folders).iterator(), 4)
  parts = [
      take(build(folders, shard_index=i, shard_count=2).iterator(), 4)
      for i in range(2)
  ]
  for batch, *halves in zip(whole, *parts):
    for key in batch:
      assert len(halves[0][key]) == 2
      together = np.concatenate([half[key] for half in halves])
      assert np.array_equal(together, batch[key])


def test_shards_resume_with_another_batch_size_and_number(folders):
  whole = build(folders).iterator()
  expected = join(take(whole, 7))
  first = build(folders, batch_size=6, shard_index=1, shard_count=3).iterator()
  next(first)
  state = first.get_state()
  parts = []
  for i in range(2):
    shard = build(folders, shard_index=i, shard_count=2).iterator()
    shard.set_state(state)
    parts.append(take(shard, 2))
  for number, halves in enumerate(zip(*parts)):
    begin = 6 + 4 * number
    for key, rows in expected.items():
      together = np.concatenate([half[key] for half in halves])
      assert np.array_equal(together, rows[begin : begin + 4])


def test_facts_tell_other_data_apart(folders, tmp_path):
  def facts(*sources):
    return build(sources, weights=(1.0,) * len(sources)).facts()

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
  expected = join(take(build(folders).iterator(), 2))
  for changes in ({}, {'num_workers': 1}, dict(shard_index=1, shard_count=2)):
    first = build(folders, **changes).first(6)
    assert_same(first, {key: rows[:6] for key, rows in expected.items()})


def test_order_of_samples_is_that_of_earlier_versions():
  # A run that was saved by an earlier version has to go on with the same data.
  sample = build(('scenes', 'scenes'), height=8, width=8).first(8)
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
      build(folders[:1], weights=(1.0,)).iterator().get_state()['num_records']
  )
  alone = build(folders[:1], weights=(1.0,), batch_size=num_records)
  epochs = take(alone.iterator(), 2)
  videos = [np.sort(epoch['clip'][:, 1]) for epoch in epochs]
  assert np.array_equal(*videos)
  assert set(videos[0]) == set(range(5))
  orders = [epoch['clip'][:, 1] for epoch in epochs]
  assert not np.array_equal(*orders)
  assert not np.array_equal(orders[0], videos[0])
  clips = join(take(build(folders).iterator(), 50))['clip']
  assert (clips[:, 0] == 0).sum() == pytest.approx(140, abs=1)


def test_generated_scenes_can_be_mixed_with_videos(folders):
  built = build(('scenes', folders[0]), weights=(0.5, 0.5), height=16, width=16)
  batch = join(take(built.iterator(), 2))
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
  videos, pictures = build(folders, **settings), build(copies, **settings)
  assert pictures.facts() == videos.facts()
  first = videos.iterator()
  expected = take(first, 6)
  assert_same(join(take(pictures.iterator(), 6)), join(expected))
  assert_same(pictures.read_held_out(range(4)), videos.read_held_out(range(4)))
  # A run goes on with pictures where it was with videos.
  first = videos.iterator()
  next(first)
  batches = pictures.iterator()
  batches.set_state(first.get_state())
  first.close()
  assert_same(join(take(batches, 5)), join(expected[1:]))


def test_a_picture_that_breaks_after_indexing_is_named(tmp_path, warnings):
  for name in ('bear', 'cow'):
    frames = [video_files.picture(number, 24, 32) for number in range(20)]
    video_files.write_folder(tmp_path / name, frames)
  built = build((str(tmp_path),), weights=(1.0,))
  for path in (tmp_path / 'cow').iterdir():
    path.write_bytes(path.read_bytes()[:-30])
  samples = join(take(built.iterator(), 3))
  assert samples['skipped'].any() and not samples['clip'][:, 1].any()
  (message,) = warnings
  assert re.search(r'clip is skipped: .*/cow: 000..\.png: ', message)


def test_another_seed_gives_other_samples(folders):
  a = join(take(build(folders).iterator(), 3))
  b = join(take(build(folders, seed=6).iterator(), 3))
  assert not np.array_equal(a['clip'], b['clip'])


def test_files_that_break_after_indexing_are_skipped_and_counted(
    folders, warnings
):
  expected = join(take(build(folders).iterator(), 10))
  built = build(folders)
  broken = folders[0] + '/1.mp4'
  os.remove(broken)
  samples = join(take(built.iterator(), 10))
  is_broken = (expected['clip'][:, :2] == [0, 1]).all(axis=1)
  assert is_broken.any()
  assert np.array_equal(samples['skipped'] > 0, is_broken)
  assert not (samples['clip'][:, :2] == [0, 1]).all(axis=1).any()
  assert np.array_equal(samples['clip'][:, 0], expected['clip'][:, 0])
  for key in samples:
    assert np.array_equal(samples[key][~is_broken], expected[key][~is_broken])
  assert len(warnings) == 1 and broken in warnings[0]
  assert_same(join(take(built.iterator(), 10)), samples)


def test_ten_broken_clips_in_a_row_end_the_run(folders):
  built = build(folders, num_workers=1)
  for folder in folders:
    for name in os.listdir(folder):
      os.remove(os.path.join(folder, name))
  with pytest.raises(RuntimeError, match='10 clips in a row'):
    take(built.iterator(), 1)


def test_restoring_with_changed_sources_warns(folders, warnings, make_video):
  state = build(folders).iterator().get_state()
  make_video(folders[1] + '/new.mp4', 40)
  build(folders).iterator().set_state(state)
  assert len(warnings) == 1 and 'The data has changed' in warnings[0]


@pytest.mark.parametrize(
    'changes, error',
    [
        ({'weights': (1.0,)}, 'one weight for each source'),
        ({'weights': (1.0, 0.0)}, 'must be positive'),
        ({'batch_size': 5, 'shard_count': 2}, 'multiple of 2 shards'),
        ({'prefetch': 0}, 'prefetch=0'),
        ({'max_gap': 1}, 'max_gap=1'),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(folders, changes, error):
  with pytest.raises(ValueError, match=error):
    build(folders, **changes)


@pytest.fixture
def twelve(tmp_path, make_video):
  """A folder with the videos 0 to 11, of which 8 and 9 are drawn below 0.2."""
  folder = tmp_path / 'twelve'
  folder.mkdir()
  for number in range(12):
    make_video(folder / f'{number}.mp4', 30)
  return str(folder)


def test_videos_that_are_kept_out_are_not_trained_on(twelve, folders):
  sources = twelve, 'scenes', folders[1]
  built = build(sources, weights=(1, 1, 1), held_out_share=0.2)
  assert built.has_held_out
  batch = join(take(built.iterator(), 30))
  names = [built.describe(clip) for clip in batch['clip']]
  trained_on = {name.split('/')[-1].split()[0] for name in names}
  assert {f'{i}.mp4' for i in range(8)} <= trained_on
  assert not trained_on & {'8.mp4', '9.mp4'}
  held_out = built.read_held_out(range(20))
  assert held_out['source'].shape == (20, 3, 32, 48, 3)
  # Only the first source has such videos, two of them.
  assert set(held_out['clip'][:, 0]) == {0}
  assert set(held_out['clip'][:, 1]) == {0, 1}


def test_samples_of_held_out_videos_depend_only_on_their_number(twelve):
  settings = dict(weights=(1.0,), held_out_share=0.2)
  expected = build([twelve], **settings).read_held_out(range(6))
  for changes in (
      {'seed': 6},
      {'num_workers': 2},
      {'batch_size': 2},
      dict(shard_index=1, shard_count=2),
  ):
    found = build([twelve], **settings, **changes).read_held_out([4, 1])
    assert_same(found, {key: rows[[4, 1]] for key, rows in expected.items()})


def test_a_share_that_keeps_out_nothing_changes_nothing(folders, warnings):
  # The names 0 to 4 are drawn above 0.2.
  built = build(folders, held_out_share=0.2)
  assert not built.has_held_out
  (message,) = warnings
  assert 'held_out_share=0.2 keeps none of the 7 clips' in message
  assert_same(built.first(6), build(folders).first(6))
  with pytest.raises(ValueError, match='no videos are kept out'):
    built.read_held_out([0])


def test_a_share_that_leaves_nothing_to_train_on_is_refused(folders):
  with pytest.raises(ValueError, match='=0.99 keeps all of .*many.*, 5 clips'):
    build(folders, held_out_share=0.99)


def test_batches_say_that_a_worker_was_killed(folders):
  batches = build(folders, num_workers=1).iterator()
  try:
    next(batches)
    for worker in multiprocessing.active_children():
      worker.kill()
    with pytest.raises(process.BrokenProcessPool, match='signal 9 has ended a'):
      for _ in range(100):
        next(batches)
  finally:
    batches.close()
