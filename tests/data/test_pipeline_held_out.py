"""Videos that are kept out of training come from `read_held_out` alone."""

import pytest

from tests.data import streams


@pytest.fixture
def twelve(tmp_path, make_video):
  """A folder with videos 0 to 11; `held_out.draw` is below 0.2 for 8 and 9."""
  folder = tmp_path / 'twelve'
  folder.mkdir()
  for number in range(12):
    make_video(folder / f'{number}.mp4', 30)
  return str(folder)


def test_videos_that_are_kept_out_are_not_trained_on(twelve, folders):
  sources = twelve, 'scenes', folders[1]
  built = streams.build(sources, weights=(1, 1, 1), held_out_share=0.2)
  assert built.has_held_out
  batch = streams.join(streams.take(built.iterator(), 30))
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
  expected = streams.build([twelve], **settings).read_held_out(range(6))
  for changes in (
      {'seed': 6},
      {'num_workers': 2},
      {'batch_size': 2},
      dict(shard_index=1, shard_count=2),
  ):
    found = streams.build([twelve], **settings, **changes).read_held_out([4, 1])
    streams.assert_same(
        found, {key: rows[[4, 1]] for key, rows in expected.items()}
    )


def test_a_share_that_keeps_out_nothing_changes_nothing(folders, warnings):
  # `held_out.draw` is above 0.2 for the names 0 to 4.
  built = streams.build(folders, held_out_share=0.2)
  assert not built.has_held_out
  (message,) = warnings
  assert 'held_out_share=0.2 keeps none of the 7 clips' in message
  streams.assert_same(built.first(6), streams.build(folders).first(6))
  with pytest.raises(ValueError, match='no videos are kept out'):
    built.read_held_out([0])


def test_a_share_that_leaves_nothing_to_train_on_is_refused(folders):
  with pytest.raises(ValueError, match='=0.99 keeps all of .*many.*, 5 clips'):
    streams.build(folders, held_out_share=0.99)
