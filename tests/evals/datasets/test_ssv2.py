"""Tests the reader of Something-Something v2: classes and errors."""

import dataclasses
import json
import pathlib

import pytest

from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import ssv2
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(4, 6.0, 32, 32, False, num_clips=2)


@pytest.fixture
def root(video_set):
  return video_set('ssv2')


def read(root, split='train', sampling=SAMPLING):
  return ssv2.read(str(root), split, sampling, 0.0)


def test_each_video_has_the_class_of_its_template(root):
  clips, notes = read(root)
  assert [clip.name for clip in clips] == [
      f'{i}#{k}' for i in '1234' for k in range(2)
  ]
  assert [clip.label for clip in clips] == [1, 1, 0, 0, 1, 1, 0, 0]
  assert not notes
  assert {clip.classes for clip in clips} == {
      ('Moving something', 'Pushing something left')
  }
  assert [pathlib.Path(path).name for path in clips[0].files] == [
      '1.webm',
      'something-something-v2-labels.json',
      'something-something-v2-train.json',
  ]


def test_lists_are_found_under_their_newer_names(root):
  expected, _ = read(root, 'validation')
  (root / 'labels').mkdir()
  for path in root.glob('*.json'):
    path.rename(
        root / 'labels' / path.name.removeprefix('something-something-v2-')
    )
  clips, _ = read(root, 'validation')
  assert [c.label for c in clips] == [c.label for c in expected]


def test_flips_are_refused(root):
  with pytest.raises(
      ValueError, match='flip=0.5 must be 0, because classes tell'
  ):
    read(root, sampling=dataclasses.replace(SAMPLING, flip=0.5))


def test_broken_and_missing_files_are_named(root):
  labels, train = (
      root / f'something-something-v2-{n}.json' for n in ('labels', 'train')
  )
  entries = json.loads(train.read_text())
  entries[1]['template'] = 'Eating [something]'
  train.write_text(json.dumps(entries))
  with pytest.raises(
      ValueError,
      match="2 is of the class 'Eating something', "
      'which is none of the 2 in .*labels.json',
  ):
    read(root)
  for wrong, message in (
      ('[{"id": "1"}]', 'must have id and template'),
      ('{"id": "1"}', 'must be a list'),
      ('[{"id": "1",', 'train.json is not JSON'),
  ):
    train.write_text(wrong)
    with pytest.raises(ValueError, match=message):
      read(root)
  labels.write_text('{"a": "0", "b": "2"}')
  with pytest.raises(ValueError, match=r'numbers from 0 on, got .*2'):
    read(root)
  tiny_videos.write_ssv2(root)
  (root / '20bn-something-something-v2').rename(root / 'videos')
  with pytest.raises(FileNotFoundError, match='folder .*-v2 is missing.*http'):
    read(root)
  labels.unlink()
  with pytest.raises(FileNotFoundError, match='labels.json is missing.*http'):
    read(root)
