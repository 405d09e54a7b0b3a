"""Tests the reader of Kinetics: lists, manifests, folders and errors."""

import csv

import pytest

from rvm_jax.evals.datasets import kinetics
from rvm_jax.evals.datasets import sampling as sampling_lib

SAMPLING = sampling_lib.Sampling(4, 6.0, 32, 32, False, num_clips=2)


@pytest.fixture
def root(video_set):
  return video_set('kinetics')


def read(root):
  return kinetics.read(str(root), 'val', SAMPLING, 0.0)


def test_files_are_found_by_identity_and_seconds(root):
  clips, notes = read(root)
  names = ['-a_val0_000000_000010', '-a_val1_000007_000017']
  assert [c.name for c in clips] == [f'{n}#{k}' for n in names for k in (0, 1)]
  assert [c.label for c in clips] == [1, 1, 0, 0] and not notes
  assert {c.classes for c in clips} == {('abseiling', 'yoga (easy)')}
  # The split has another name, the lists are beside its folder, and the videos
  # are in this folder itself.
  (root / 'val').rename(root / 'validate')
  (root / 'annotations/val.csv').rename(root / 'validate.csv')
  (root / 'annotations/train.csv').rename(root / 'train.csv')
  for path in list((root / 'validate').glob('*/*.mp4')):
    path.rename(root / 'validate' / path.name)
  moved, _ = read(root)
  assert [c.name for c in moved] == [c.name for c in clips]
  assert [c.label for c in moved] == [c.label for c in clips]


def test_manifests_replace_the_lists(root):
  for split in ('train', 'val'):
    (root / f'annotations/{split}.csv').unlink()
    lines = [
        f'{path.relative_to(root)},{path.parent.name}'
        for path in sorted((root / split).glob('*/*.mp4'))
    ]
    (root / f'{split}.csv').write_text('\n'.join(['path,label', *lines]))
  clips, _ = read(root)
  assert [(c.video_name, c.label) for c in clips[::2]] == [
      ('val/abseiling/-a_val1_000007_000017.mp4', 0),
      ('val/yoga (easy)/-a_val0_000000_000010.mp4', 1),
  ]


def test_broken_and_missing_files_are_named(root):
  path = root / 'annotations/val.csv'
  with open(path, newline='') as f:
    rows = list(csv.reader(f))

  def write(row):
    with open(path, 'w', newline='') as f:
      csv.writer(f).writerows([rows[0], *([row] if row else [])])

  for row, message in (
      (['zumba', *rows[1][1:]], "class 'zumba', which is none of the 2 in"),
      (['', *rows[1][1:]], 'row 2: expected a label'),
      (['abseiling', 'a', 'noon', '3', 'val'], 'row 2: time_start and'),
      (['abseiling', 'a', '1', '3', 'val', 'x'], 'row 2: expected a label'),
      (['abseiling', 'a', '1'], 'row 2: expected a label and as many columns'),
      (None, 'lists no videos'),
  ):
    write(row)
    with pytest.raises(ValueError, match=message):
      read(root)
  write(['abseiling', 'gone', '1', '3', 'val'])
  with pytest.raises(
      ValueError, match='val/abseiling/gone_000001_000003.mp4: No such file'
  ):
    read(root)
  path.write_text('name,label\n')
  with pytest.raises(ValueError, match='expected the header .*path,label, got'):
    read(root)
  (root / 'val').rename(root / 'elsewhere')
  path.write_text('\n'.join(','.join(row) for row in rows))
  with pytest.raises(FileNotFoundError, match='val is missing.*http'):
    read(root)
  path.unlink()
  with pytest.raises(FileNotFoundError, match='val.csv is missing.*http'):
    read(root)
