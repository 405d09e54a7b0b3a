"""A plan depends on videos and settings alone; another plan is refused."""

import dataclasses
import os

import pytest

from rvm_jax.data.shards import plan

SETTINGS = plan.Settings('jpeg', 90, 288, 64, 16, cuts=False)


def touch(root, *names):
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()


def test_videos_are_sorted_by_names_relative_to_their_source(tmp_path):
  touch(tmp_path, 'x/b.mp4', 'x/a/z.mp4', 'y/c.mp4', 'y/bear/0.jpg')
  touch(tmp_path, 'y/bear/1.jpg')
  places = [str(tmp_path / 'y'), str(tmp_path / 'x')]
  videos = plan.list_videos(places)
  # bear is one video, because it holds pictures and no video.
  assert [v.name for v in videos] == ['a/z.mp4', 'b.mp4', 'bear', 'c.mp4']
  assert videos[3].clip.path == str(tmp_path / 'y/c.mp4')
  assert plan.list_videos(places[::-1] + places) == videos


def test_spans_and_labels_of_a_manifest_are_kept(tmp_path):
  manifest = tmp_path / 'm.csv'
  manifest.write_text(
      'path,start,end,label\na.mp4,5,,run\na.mp4,1,,jump\na.mp4,1,2,jump\n'
  )
  assert [v.describe() for v in plan.list_videos([str(manifest)])] == [
      ['a.mp4', 1.0, 2.0, 'jump'],
      ['a.mp4', 1.0, None, 'jump'],
      ['a.mp4', 5.0, None, 'run'],
  ]


def test_two_videos_of_one_name_are_refused(tmp_path):
  touch(tmp_path, 'x/a.mp4', 'y/a.mp4')
  with pytest.raises(ValueError, match=r"y/a.mp4 would both be called 'a.mp4'"):
    plan.list_videos([str(tmp_path / 'x'), str(tmp_path / 'y')])


def test_names_that_are_no_text_become_text(tmp_path):
  touch(tmp_path, os.fsdecode(b'caf\xe9.mp4'))
  (video,) = plan.list_videos([str(tmp_path)])
  assert video.name == r'caf\xe9.mp4' and os.path.exists(video.clip.path)


@pytest.mark.parametrize(
    'num_videos, expected',
    [(1, 1), (16, 16), (100, 16), (1024, 16), (1025, 17), (240000, 3750)],
)
def test_default_number_of_shards(num_videos, expected):
  assert plan.count_shards(num_videos) == expected


def test_claim_accepts_the_same_plan_and_refuses_another(tmp_path):
  touch(tmp_path, 'x/a.mp4', 'x/b.mp4')
  folder = str(tmp_path / 'packed')
  videos = plan.list_videos([str(tmp_path / 'x')])
  plan.claim(folder, SETTINGS, 2, videos)
  plan.claim(folder, SETTINGS, 2, videos)
  other = dataclasses.replace(SETTINGS, quality=80)
  with pytest.raises(ValueError, match='quality: saved 90, now 80'):
    plan.claim(folder, other, 2, videos)
  with pytest.raises(ValueError, match='num_shards: saved 2, now 1'):
    plan.claim(folder, SETTINGS, 1, videos)
  touch(tmp_path, 'x/c.mp4')
  (tmp_path / 'x/a.mp4').unlink()
  with pytest.raises(
      ValueError,
      match='videos: saved 2, now 2, missing now: a.mp4, new: c.mp4',
  ):
    plan.claim(folder, SETTINGS, 2, plan.list_videos([str(tmp_path / 'x')]))


def test_versions_of_libraries_are_part_of_the_plan(tmp_path, monkeypatch):
  touch(tmp_path, 'x/a.mp4')
  videos = plan.list_videos([str(tmp_path / 'x')])
  plan.claim(str(tmp_path / 'packed'), SETTINGS, 1, videos)
  monkeypatch.setattr(plan.importlib.metadata, 'version', lambda name: '0.0')
  with pytest.raises(ValueError, match='settings.versions.av: saved .* now'):
    plan.claim(str(tmp_path / 'packed'), SETTINGS, 1, videos)


def test_folder_with_other_files_is_refused(tmp_path):
  touch(tmp_path, 'x/a.mp4')
  place = str(tmp_path / 'x')
  with pytest.raises(ValueError, match=r'holds other files \(a.mp4\)'):
    plan.claim(place, SETTINGS, 1, plan.list_videos([place]))
  assert os.listdir(place) == ['a.mp4']
