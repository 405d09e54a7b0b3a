"""Tests the reader of one's own labelled videos: layouts, splits and errors."""

import pathlib

import pytest

from rvm_jax.evals.datasets import clips as clips_lib
from rvm_jax.evals.datasets import sampling as sampling_lib
from tests import video_files
from tests.evals import tiny_videos

SAMPLING = sampling_lib.Sampling(4, 6.0, 32, 32, False)


@pytest.fixture
def folder(tmp_path, tmp_path_factory, monkeypatch):
  """A folder with the videos a.mp4 to d.mp4."""
  cache = tmp_path_factory.mktemp('cache')
  monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
  for name in 'abcd':
    tiny_videos.write_video(tmp_path / f'{name}.mp4', num_frames=4)
  return tmp_path


def write_list(folder, *lines, encoding='utf-8'):
  path = folder / 'list.csv'
  path.write_bytes('\n'.join(lines).encode(encoding))
  return path


def read(path, split='train', max_bad_share=0.0):
  """Returns {name of the video: name of its class}, and notes."""
  clips, notes = clips_lib.read(str(path), split, SAMPLING, max_bad_share)
  return {clip.video_name: clip.classes[clip.label] for clip in clips}, notes


def test_list_with_splits_gives_videos_their_classes(folder):
  (folder / 'more').mkdir()
  (folder / 'd.mp4').rename(folder / 'more/é.mp4')
  path = write_list(
      folder,
      '\ufeffpath,label,split',  # As spreadsheets save it.
      'a.mp4, "wide, open",train',
      './b.mp4,shut,train',
      '',
      'c.mp4,shut,test',
      f'{folder}/more/é.mp4,"wide, open",test',
  )
  train, notes = read(path)
  assert train == {'a.mp4': 'wide, open', 'b.mp4': 'shut'} and not notes
  test, notes = read(path, 'test')
  assert test == {'c.mp4': 'shut', 'more/é.mp4': 'wide, open'} and not notes
  clips, _ = clips_lib.read(str(path), 'test', SAMPLING, 0.0)
  assert clips[0].classes == ('shut', 'wide, open')
  assert clips[0].files == (f'{folder}/c.mp4', str(path))
  assert clips[0].read()['frames'].shape == (4, 32, 32, 3)


def test_val_stands_in_for_test_or_is_not_used(folder):
  rows = ['path,label,split', 'a.mp4,x,train', 'b.mp4,y,train', 'c.mp4,x,val']
  test, notes = read(write_list(folder, *rows), 'test')
  assert test == {'c.mp4': 'x'} and not notes
  test, notes = read(write_list(folder, *rows, 'd.mp4,y,test'), 'test')
  assert test == {'d.mp4': 'y'}
  assert notes == ['1 videos of val are not used']


def test_one_name_in_five_is_in_the_test_split():
  names = [f'{label}/{i:03d}.mp4' for label in 'xy' for i in range(1000)]
  test = [n for n in names if clips_lib._choose_split(n) == 'test']
  # Three standard deviations of a binomial distribution are 54.
  assert abs(len(test) - 400) < 54
  # The choice must be the same in all versions and on all machines.
  assert test[:4] == ['x/000.mp4', 'x/003.mp4', 'x/008.mp4', 'x/021.mp4']


def test_split_by_hash_is_noted_and_stays_when_videos_are_added(video_set):
  root = video_set('clips')
  train, notes = read(root)
  assert not notes
  test, notes = read(root, 'test')
  (note,) = notes
  assert note == (
      f'no split is given: {len(test)} of 20 videos are for the test, one in 5'
      ' by a hash of their paths'
  )
  assert not train.keys() & test.keys() and len(train) + len(test) == 20
  assert all(
      pathlib.Path(name).parent.name == label
      for name, label in (train | test).items()
  )
  for label in ('inverted', 'plain'):
    (root / f'{label}/0.mp4').rename(root / f'{label}/new.mp4')
  again = read(root)[0].keys()
  assert again - {'inverted/new.mp4', 'plain/new.mp4'} <= train.keys()


@pytest.mark.parametrize('held_out', ['test', 'val'])
def test_folders_of_splits_hold_folders_of_classes(folder, held_out):
  for name, place in {
      'a': 'train/x',
      'b': 'train/y/deeper',
      'c': f'{held_out}/x',
      'd': f'{held_out}/y',
  }.items():
    (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / f'{name}.mp4').rename(folder / place / f'{name}.mp4')
  (folder / 'train/x/notes.txt').write_text('no video')
  assert read(folder)[0] == {
      'train/x/a.mp4': 'x',
      'train/y/deeper/b.mp4': 'y',
  }
  test, notes = read(folder, 'test')
  assert test == {f'{held_out}/x/c.mp4': 'x', f'{held_out}/y/d.mp4': 'y'}
  assert not notes
  (folder / 'other').mkdir()
  (folder / 'train/x/a.mp4').rename(folder / 'other/a.mp4')
  with pytest.raises(
      ValueError,
      match=f'other/a.mp4 is in none of the folders train, {held_out}',
  ):
    read(folder)


def test_folders_of_pictures_are_videos(folder):
  frames = [tiny_videos.draw(number) for number in range(6)]
  for place in ('train/x/bear', 'train/y/elk', 'test/x/cow'):
    video_files.write_folder(folder / place, frames)
  for name in 'abcd':
    (folder / f'{name}.mp4').unlink()
  assert read(folder)[0] == {'train/x/bear': 'x', 'train/y/elk': 'y'}
  (clip,), _ = clips_lib.read(str(folder), 'test', SAMPLING, 0.0)
  # `files` lists every picture, because results have a hash of these files.
  names = [f'{folder}/test/x/cow/{number:05d}.png' for number in range(6)]
  assert list(clip.files) == names
  assert clip.read()['frames'].shape == (4, 32, 32, 3)


def test_a_folder_named_train_alone_is_a_class(folder):
  for name, label in {'a': 'train', 'b': 'bus'}.items():
    (folder / label).mkdir()
    (folder / f'{name}.mp4').rename(folder / label / f'{name}.mp4')
  for name in 'cd':
    (folder / f'{name}.mp4').unlink()
  with pytest.raises(ValueError, match='no test videos'):
    read(folder)


@pytest.mark.parametrize(
    'lines, message',
    [
        ([], "expected the header path,label or path,label,split, got ''"),
        (['path,class', 'a.mp4,x'], "path,label,split, got 'path,class'"),
        (['path,label,start', 'a.mp4,x,1'], "got 'path,label,start'"),
        (['path,label'], 'list.csv lists no videos'),
        (
            ['path,label', 'a.mp4,x', 'b.mp4, '],
            r"line 3: expected .*'b.mp4', ''",
        ),
        (
            ['path,label', 'a.mp4'],
            r"line 2: expected path,label, got \['a.mp4'",
        ),
        (['path,label', 'a.mp4,x,y'], 'line 2: expected path,label, got'),
        (
            ['path,label,split', 'a.mp4,x,train', 'b.mp4,x,dev'],
            "line 3: the split must be train or test or val, got 'dev'",
        ),
        (
            ['path,label', 'a.mp4,"' + 200_000 * 'x'],
            'line 2: field larger than',
        ),
        (
            ['path,label', 'a.mp4,x', 'b.mp4,x'],
            "all 2 videos are of the class 'x'; there must be two",
        ),
        (
            ['path,label,split', 'a.mp4,x,train', 'b.mp4,y,test'],
            '1 of 2 classes have no training videos, such as y',
        ),
        (
            ['path,label,split', 'a.mp4,x,train', 'b.mp4,y,train'],
            'list.csv has no test videos',
        ),
        (
            [
                'path,label,split',
                'a.mp4,x,train',
                'b.mp4,y,train',
                './a.mp4,x,test',
            ],
            'line 4: a.mp4 is listed again, for test; .*line 2 .* for train',
        ),
    ],
)
def test_mistakes_in_a_list_are_named(folder, lines, message):
  path = write_list(folder, *lines)
  for split in ('train', 'test'):
    with pytest.raises(ValueError, match=message):
      read(path, split)


def test_lists_in_another_encoding_are_refused_with_the_line(folder):
  path = write_list(
      folder, 'path,label', 'a.mp4,x', 'b.mp4,café', encoding='latin-1'
  )
  with pytest.raises(ValueError, match='line 3: .* UTF-8.*Latin-1.* byte 0xe9'):
    read(path)


def test_unreadable_videos_are_named_with_the_line(folder):
  rows = ['a.mp4,x', 'gone.mp4,y', 'c.mp4,y', 'd.mp4,x', 'b.mp4,x']
  splits = ['train', 'train', 'train', 'train', 'test']
  lines = [f'{row},{split}' for row, split in zip(rows, splits)]
  path = write_list(folder, 'path,label,split', *lines)
  (folder / 'd.mp4').write_bytes(b'no video')
  with pytest.raises(ValueError) as caught:
    read(path)
  message = str(caught.value)
  assert f'{path}, line 3: {folder}/gone.mp4: No such file' in message
  assert f'{path}, line 5: {folder}/d.mp4: Invalid data' in message
  assert 'docs/datasets/clips.md' in message
  train, notes = read(path, max_bad_share=0.5)
  assert train == {'a.mp4': 'x', 'c.mp4': 'y'}
  assert notes[0].startswith('2 of 4 videos are missing')


def test_data_that_are_neither_list_nor_folder_are_refused(folder):
  with pytest.raises(FileNotFoundError, match='gone is missing. docs/datasets'):
    read(folder / 'gone')
  with pytest.raises(ValueError, match='a.mp4 must be a folder or a .csv file'):
    read(folder / 'a.mp4')
  with pytest.raises(ValueError, match='a.mp4 is not in the folder of a class'):
    read(folder)
  (folder / 'empty').mkdir()
  with pytest.raises(ValueError, match='empty holds no videos. docs/datasets'):
    read(folder / 'empty')
