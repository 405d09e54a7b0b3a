"""Tests of the comparison on recorded video: folds, configs and the table."""

import csv
import json

import pytest

from benchmarks import real_video

NAMES = [f'video{i}' for i in range(5)]


@pytest.fixture
def davis(tmp_path):
  """Returns a folder DAVIS with five videos that have no frames."""
  folder = tmp_path / 'DAVIS'
  for kind in ('JPEGImages', 'Annotations'):
    for name in NAMES:
      (folder / kind / '480p' / name).mkdir(parents=True)
  listed = folder / 'ImageSets/2017/val.txt'
  listed.parent.mkdir(parents=True)
  listed.write_text('\n'.join(NAMES))
  return folder


def test_every_video_is_scored_once_by_models_that_have_not_seen_it(
    davis, tmp_path
):
  folds = real_video.split(davis, tmp_path / 'out', 3)
  scored = []
  for fold in folds:
    own = (fold / 'DAVIS/ImageSets/2017/val.txt').read_text().split()
    with (fold / 'train.csv').open() as f:
      seen = [row['path'].split('/')[-1] for row in csv.DictReader(f)]
    frames = [path.name for path in (fold / 'DAVIS/JPEGImages/480p').iterdir()]
    assert sorted(frames) == own
    assert sorted(own + seen) == NAMES
    scored += own
  assert sorted(scored) == NAMES


def test_every_model_trains_on_recorded_video_and_some_on_scenes(
    davis, tmp_path
):
  fold = real_video.split(davis, tmp_path / 'out', 3)[0]
  sources = {
      name: real_video.make_config(name, fold, tmp_path / 'videos').data.sources
      for name in real_video.TRAINED
  }
  recorded = (str(fold / 'train.csv'), str(tmp_path / 'videos'))
  for name, found in sources.items():
    assert found == recorded + ('scenes',) * name.endswith('scenes')


def write_result(folder, scores, num_long):
  """Writes a result with given scores.

  Args:
    folder: folder of the result.
    scores: J&F by the name of the video. The two baselines get 1 and 2 less.
    num_long: number of videos with more than 80 frames. If there are any, each
      part of them has the mean of `scores`.
  """
  folder.mkdir(parents=True)
  kinds = ('', 'stay_', 'stay_grid_')
  mean = sum(scores.values()) / len(scores)
  parts = ('1_to_16', '17_to_32', '33_to_48', '49_to_64', '65_to_80')
  about = {'num_long_videos': num_long}
  if num_long:
    about |= {f'{kind}j_and_f_{x}': mean for kind in kinds for x in parts}
  (folder / 'result.json').write_text(json.dumps({'scores': about}))
  columns = ['video', 'object', *(f'{kind}j_and_f' for kind in kinds)]
  with (folder / 'rows.csv').open('w') as f:
    rows = csv.writer(f)
    rows.writerow(columns)
    rows.writerows([name, 1, x, x - 1, x - 2] for name, x in scores.items())


def test_table_puts_folds_together_and_pairs_videos(tmp_path):
  scores = {name: 10.0 * i for i, name in enumerate(NAMES)}
  write_result(real_video.folder(tmp_path, 'raw pixels'), scores, 2)
  for i in range(2):
    folder = real_video.folder(tmp_path / f'fold_{i}', real_video.REFERENCE)
    real_video.report(tmp_path, 2)
    assert real_video.REFERENCE not in (tmp_path / 'table.md').read_text()
    # A fold lists its videos in another order than the result on all videos.
    own = {name: scores[name] + 5 for name in reversed(NAMES[i::2])}
    write_result(folder / 'results', own, [2, 0][i])
  real_video.report(tmp_path, 2)
  text = (tmp_path / 'table.md').read_text()
  row = next(
      line
      for line in text.splitlines()
      if line.startswith(f'| {real_video.REFERENCE} | 25.0 ')
  )
  assert '| +5.0 (+5.0 to +5.0) |' in row  # minus raw pixels
  assert '| +6.0 (+6.0 to +6.0) |' in row  # minus masks that stay
  # Only the first fold, whose scores 5, 25 and 45 have the mean 25, has long
  # videos.
  assert f'| {real_video.REFERENCE} | 25.0 | 25.0 |' in text
