"""SSv2 and Kinetics: clips with classes, and what is said of broken sets."""

import csv
import dataclasses
import json
import pathlib
import pickle

import numpy as np
import pytest

from rvm_jax.evals.datasets import kinetics
from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import ssv2
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(
    4, 6.0, 32, 32, False, num_clips=2, crop_area=(0.3, 1.0)
)


def test_ssv2_gives_each_video_the_number_of_its_template(video_set):
  root = video_set('ssv2')
  clips, notes = ssv2.read(str(root), 'train', SAMPLING, 0.0)
  assert [clip.name for clip in clips] == [
      f'{i}#{k}' for i in '1234' for k in range(2)
  ]
  assert [clip.label for clip in clips] == [1, 1, 0, 0, 1, 1, 0, 0]
  assert not notes
  assert ssv2.list_classes(str(root)) == [
      'Moving something',
      'Pushing something left',
  ]
  assert [pathlib.Path(path).name for path in clips[0].files] == [
      '1.webm',
      'something-something-v2-labels.json',
      'something-something-v2-train.json',
  ]


def test_ssv2_reads_lists_under_their_newer_names(video_set):
  root = video_set('ssv2')
  expected, _ = ssv2.read(str(root), 'validation', SAMPLING, 0.0)
  (root / 'labels').mkdir()
  for path in root.glob('*.json'):
    path.rename(
        root / 'labels' / path.name.removeprefix('something-something-v2-')
    )
  clips, _ = ssv2.read(str(root), 'validation', SAMPLING, 0.0)
  assert [c.label for c in clips] == [c.label for c in expected]


@pytest.mark.parametrize('library, split', [(ssv2, 'train'), (kinetics, 'val')])
def test_reads_a_fixed_clip_or_a_drawn_one(library, split, video_set):
  root = video_set(library.__name__.split('.')[-1])
  clips, _ = library.read(str(root), split, SAMPLING, 0.0)
  clip = pickle.loads(pickle.dumps(clips[3]))  # The second of its video.
  example = clip.read()
  assert set(example) == {'frames', 'label'}
  assert example['label'] == clip.label == 0
  assert example['label'].dtype == np.int32
  frames = example['frames']
  assert frames.shape == (4, 32, 32, 3) and frames.dtype == np.uint8
  found = tiny_videos.locate(frames[:, 16, 16])
  expected = [(32.5, 24.5, number) for number in (17, 19, 21, 23)]
  np.testing.assert_allclose(found, expected, atol=1)
  drawn = [
      clip.read(np.random.default_rng(seed))['frames'] for seed in (0, 0, 1, 2)
  ]
  np.testing.assert_array_equal(drawn[0], drawn[1])
  firsts = tiny_videos.locate(np.array([f[0, 16, 16] for f in drawn]))
  assert len(set(firsts[:, 2].round())) > 1
  assert len(set(firsts[:, 0].round())) > 1


def test_kinetics_finds_files_by_identity_and_seconds(video_set):
  root = video_set('kinetics')
  clips, notes = kinetics.read(str(root), 'val', SAMPLING, 0.0)
  names = ['-a_val0_000000_000010', '-a_val1_000007_000017']
  assert [c.name for c in clips] == [f'{n}#{k}' for n in names for k in (0, 1)]
  assert [c.label for c in clips] == [1, 1, 0, 0] and not notes
  assert kinetics.list_classes(str(root)) == ['abseiling', 'yoga (easy)']
  # Elsewhere below the folder of the split, lists beside it, other names.
  (root / 'val').rename(root / 'validate')
  (root / 'annotations/val.csv').rename(root / 'validate.csv')
  (root / 'annotations/train.csv').rename(root / 'train.csv')
  for path in list((root / 'validate').glob('*/*.mp4')):
    path.rename(root / 'validate' / path.name)
  moved, _ = kinetics.read(str(root), 'val', SAMPLING, 0.0)
  assert [c.name for c in moved] == [c.name for c in clips]
  assert [c.label for c in moved] == [c.label for c in clips]


def test_kinetics_reads_manifests(video_set):
  root = video_set('kinetics')
  for split in ('train', 'val'):
    (root / f'annotations/{split}.csv').unlink()
    lines = [
        f'{path.relative_to(root)},{path.parent.name}'
        for path in sorted((root / split).glob('*/*.mp4'))
    ]
    (root / f'{split}.csv').write_text('\n'.join(['path,label', *lines]))
  clips, _ = kinetics.read(str(root), 'val', SAMPLING, 0.0)
  assert [(c.video_name, c.label) for c in clips[::2]] == [
      ('val/abseiling/-a_val1_000007_000017.mp4', 0),
      ('val/yoga (easy)/-a_val0_000000_000010.mp4', 1),
  ]


def test_bad_videos_are_named_and_left_out_up_to_a_bound(video_set):
  root = video_set('ssv2')
  folder = root / '20bn-something-something-v2'
  (folder / '1.webm').unlink()
  (folder / '2.webm').write_bytes(b'no video')
  tiny_videos.write_video(folder / '3.webm', num_frames=1)
  with pytest.raises(ValueError) as caught:
    ssv2.read(str(root), 'train', SAMPLING, 0.5)
  message = str(caught.value)
  assert message.startswith('3 of 4 videos are missing, broken or too short')
  assert f'{folder}/1.webm: No such file' in message
  assert f'{folder}/2.webm: Invalid data' in message
  assert f'{folder}/3.webm: 1 frames, needs at least 2' in message
  assert 'max_bad_share=0.5' in message and 'docs/datasets/ssv2.md' in message
  clips, notes = ssv2.read(str(root), 'train', SAMPLING, 0.75)
  assert {clip.video_name for clip in clips} == {'4'}
  assert len(notes) == 1 and notes[0].startswith('3 of 4 videos are missing')
  (folder / '4.webm').unlink()
  with pytest.raises(ValueError, match='4 of 4 videos'):
    ssv2.read(str(root), 'train', SAMPLING, 1.0)


def test_ssv2_says_what_is_missing_or_wrong(video_set):
  root = video_set('ssv2')
  read = lambda: ssv2.read(str(root), 'train', SAMPLING, 0.0)
  with pytest.raises(ValueError, match='flip=0.5 must be 0: classes tell left'):
    mirrored = dataclasses.replace(SAMPLING, flip=0.5)
    ssv2.read(str(root), 'train', mirrored, 0.0)
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
    read()
  for wrong, message in (
      ('[{"id": "1"}]', 'must have id and template'),
      ('{"id": "1"}', 'must be a list'),
      ('[{"id": "1",', 'train.json is not JSON'),
  ):
    train.write_text(wrong)
    with pytest.raises(ValueError, match=message):
      read()
  labels.write_text('{"a": "0", "b": "2"}')
  with pytest.raises(ValueError, match=r'numbers from 0 on, got .*2'):
    ssv2.list_classes(str(root))
  tiny_videos.write_ssv2(root)
  (root / '20bn-something-something-v2').rename(root / 'videos')
  with pytest.raises(FileNotFoundError, match='folder .*-v2 is missing.*http'):
    read()
  labels.unlink()
  with pytest.raises(FileNotFoundError, match='labels.json is missing.*http'):
    read()


def test_kinetics_says_what_is_missing_or_wrong(video_set):
  root = video_set('kinetics')
  read = lambda: kinetics.read(str(root), 'val', SAMPLING, 0.0)
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
      (None, 'lists no videos'),
  ):
    write(row)
    with pytest.raises(ValueError, match=message):
      read()
  write(['abseiling', 'gone', '1', '3', 'val'])
  with pytest.raises(
      ValueError, match='val/abseiling/gone_000001_000003.mp4: ' 'No such file'
  ):
    read()
  path.write_text('name,label\n')
  with pytest.raises(ValueError, match='expected the header .*path,label, got'):
    read()
  (root / 'val').rename(root / 'elsewhere')
  path.write_text('\n'.join(','.join(row) for row in rows))
  with pytest.raises(FileNotFoundError, match='val is missing.*http'):
    read()
  path.unlink()
  with pytest.raises(FileNotFoundError, match='val.csv is missing.*http'):
    read()
