"""The clips of folders, globs, manifests and single files."""

import os

import pytest

from rvm_jax.data.video import listing


def touch(root, *names):
  for name in names:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def names(clips, root):
  return [clip.path.removeprefix(f'{root}/') for clip in clips]


def test_folder_lists_subfolders_in_order_without_companions(tmp_path):
  touch(tmp_path, 'b.mp4', 'a/c.avi', 'a/no_suffix', 'a/d.unknown')
  touch(tmp_path, 'labels.csv', 'a/README.MD', '.hidden.mp4', '.git/e.mp4')
  found = listing.find(str(tmp_path))
  assert names(found, tmp_path) == [
      'a/c.avi',
      'a/d.unknown',
      'a/no_suffix',
      'b.mp4',
  ]
  assert all(clip.start == 0 and clip.end is None for clip in found)


def test_glob_lists_matching_files_and_folders_in_order(tmp_path):
  touch(tmp_path, 'x/1.mp4', 'y/2.mp4', 'y/z/3.mp4', 'y/4.avi', 'y/5.json')
  root = str(tmp_path)
  assert names(listing.find(f'{root}/*/*.mp4'), root) == ['x/1.mp4', 'y/2.mp4']
  assert len(listing.find(f'{root}/**/*.mp4')) == 3
  assert names(listing.find(f'{root}/y*'), root) == [
      'y/2.mp4',
      'y/4.avi',
      'y/z/3.mp4',
  ]


def test_folders_of_numbered_pictures_are_listed_beside_videos(tmp_path):
  touch(tmp_path, 'b.mp4', 'a/7.PNG', 'a/10.PNG', 'a/list.txt', 'c/d/1.webp')
  touch(tmp_path, 'c/d/2.webp', 'c/e.avi', 'c/.f/0.jpg', 'c/.f/1.jpg')
  # No videos: thumbnails, a single picture, pictures without a number.
  touch(tmp_path, 't/1.mp4', 't/1.jpg', 't/2.jpg', 'g/1.jpg', 'g/._2.jpg')
  touch(tmp_path, 'h/cat.jpg', 'h/dog.jpg', 'h/Thumbs.db')
  root = str(tmp_path)
  found = listing.find(root)
  assert names(found, root) == ['a', 'b.mp4', 'c/d', 'c/e.avi', 't/1.mp4']
  assert names(listing.find(f'{root}/[ac]'), root) == ['a', 'c/d', 'c/e.avi']
  assert names(listing.find(f'{root}/a/'), root) == ['a']
  (tmp_path / 'list.csv').write_text('path,end\nc/d,2\na/,\n')
  assert listing.find(f'{root}/list.csv') == [
      listing.Clip(f'{root}/c/d', 0.0, 2.0),
      listing.Clip(f'{root}/a'),
  ]


def test_listing_asks_once_for_each_folder_and_never_for_a_file(
    tmp_path, monkeypatch
):
  touch(tmp_path, *(f'{k}/{i}.jpg' for k in 'abc' for i in range(20)))
  asked = []

  def note(function):
    def noting(path='.', *args, **kwargs):
      asked.append(str(path))
      return function(path, *args, **kwargs)

    return noting

  for name in ('scandir', 'listdir', 'stat', 'lstat'):
    monkeypatch.setattr(os, name, note(getattr(os, name)))
  assert len(listing.find(str(tmp_path))) == 3
  assert not [path for path in asked if path.endswith('.jpg')]
  assert all(asked.count(f'{tmp_path}/{k}') <= 2 for k in 'abc')


def test_links_to_folders_are_not_followed_but_links_to_files_are(tmp_path):
  touch(tmp_path, 'far/a.mp4', 'far/b/c.mp4')
  (tmp_path / 'root').mkdir()
  (tmp_path / 'root' / 'folder').symlink_to(tmp_path / 'far')
  (tmp_path / 'root' / 'gone.mp4').symlink_to(tmp_path / 'nothing')
  (tmp_path / 'root' / 'link.mp4').symlink_to(tmp_path / 'far' / 'a.mp4')
  (tmp_path / 'root' / 'loop').symlink_to(tmp_path / 'root' / 'loop')
  root = str(tmp_path / 'root')
  # A broken link is listed, so that it is reported as bad.
  found = names(listing.find(root), root)
  assert found == ['gone.mp4', 'link.mp4', 'loop']
  # A link that is named is followed.
  assert names(listing.find(f'{root}/folder'), root) == [
      'folder/a.mp4',
      'folder/b/c.mp4',
  ]


def test_folder_that_cannot_be_listed_is_left_out_with_a_warning(
    tmp_path, monkeypatch, warnings
):
  touch(tmp_path, 'a.mp4', 'closed/b.mp4')
  scandir = os.scandir

  def refuse(path):
    if str(path).endswith('closed'):
      raise PermissionError(13, 'Permission denied', path)
    return scandir(path)

  monkeypatch.setattr(os, 'scandir', refuse)
  assert names(listing.find(str(tmp_path)), tmp_path) == ['a.mp4']
  assert warnings == [f'{tmp_path}/closed is left out: Permission denied']


def test_single_video_is_listed_by_its_absolute_path(tmp_path, monkeypatch):
  touch(tmp_path, 'a[1].mp4')
  monkeypatch.chdir(tmp_path)
  (clip,) = listing.find('a[1].mp4')
  assert clip == listing.Clip(f'{tmp_path}/a[1].mp4')
  assert clip.name == clip.path


def test_manifest_lists_spans_in_its_order(tmp_path):
  manifest = tmp_path / 'train.csv'
  manifest.write_text(
      'path,start,end,label\na.mp4,1.5,3,dog\n/far/b.mp4,,,"cat, big"\n'
      '../c.mp4,2,,\na.mp4,0,1,dog\n'
  )
  assert listing.find(str(manifest)) == [
      listing.Clip(f'{tmp_path}/a.mp4', 1.5, 3.0),
      listing.Clip('/far/b.mp4'),
      listing.Clip(f'{tmp_path.parent}/c.mp4', 2.0),
      listing.Clip(f'{tmp_path}/a.mp4', 0.0, 1.0),
  ]
  manifest.write_text('path\na.mp4\n')
  assert listing.find(str(manifest)) == [listing.Clip(f'{tmp_path}/a.mp4')]


@pytest.mark.parametrize(
    'text, error',
    [
        ('file,start\na.mp4,0\n', 'expected the header'),
        ('path,begin\na.mp4,0\n', 'expected the header'),
        ('path,start\na.mp4,0\na.mp4,soon\n', 'line 3: start and end must be'),
        ('path,start,end\na.mp4,3,3\n', 'line 2: expected 0 <= start < end'),
        ('path,start\n,3\n', 'line 2: expected path,start'),
        ('path\na.mp4,3\n', 'line 2: expected path'),
        ('path\n', 'holds no videos'),
        ('', 'expected the header'),
        ('path,path\na.mp4,b.mp4\n', 'expected the header'),
        ('path,start\na.mp4,nan\n', 'line 2: expected 0 <= start < end'),
        ('path,end\na.mp4,1\na.mp4,nan\n', 'line 3: expected 0 <= start'),
        ('path,end\na.mp4,inf\n', 'line 2: expected 0 <= start < end'),
        ('path,start\na.mp4,inf\n', 'line 2: expected 0 <= start < end'),
        ('path,start\na.mp4,-1\n', 'line 2: expected 0 <= start < end'),
        ('path,end\na.mp4,1 s\n', 'line 2: start and end must be seconds'),
        ('path\n"a.mp4\nb.mp4\n', 'line 3: unexpected end of data'),
        ('path\na.mp4\nb\0.mp4\n', 'line 3: expected .* got a NUL byte'),
    ],
)
def test_manifest_that_cannot_be_understood_is_refused_with_the_line(
    tmp_path, text, error
):
  manifest = tmp_path / 'train.csv'
  manifest.write_text(text)
  with pytest.raises(ValueError, match=error) as found:
    listing.find(str(manifest))
  assert str(manifest) in str(found.value)
  assert '\n' not in str(found.value)


def test_manifest_in_another_encoding_is_refused_with_the_line(tmp_path):
  manifest = tmp_path / 'train.csv'
  manifest.write_bytes('path\na.mp4\ncafé.mp4\n'.encode('latin-1'))
  with pytest.raises(ValueError, match='csv, line 3: .* UTF-8, got .* 0xe9'):
    listing.find(str(manifest))
  manifest.write_text('path\na.mp4\n', encoding='utf-16')
  with pytest.raises(ValueError, match='csv, line 1: expected text in UTF-8'):
    listing.find(str(manifest))


def test_manifest_of_a_spreadsheet_is_read(tmp_path):
  # A byte order mark, and lines that end as on Windows.
  manifest = tmp_path / 'train.csv'
  manifest.write_bytes(
      'path,start\r\ncafé.mp4,1\r\n\r\nb.mp4,\r\n'.encode('utf-8-sig')
  )
  first, second = listing.find(str(manifest))
  assert first == listing.Clip(f'{tmp_path}/café.mp4', 1.0)
  assert first.name == f'{manifest}, line 2: {tmp_path}/café.mp4'
  assert second.name == f'{manifest}, line 4: {tmp_path}/b.mp4'


def test_place_without_videos_is_refused(tmp_path):
  touch(tmp_path, 'notes.txt')
  for place in (str(tmp_path), f'{tmp_path}/*.mp4', f'{tmp_path}/missing'):
    with pytest.raises(ValueError, match='holds no videos'):
      listing.find(place)


def test_label_of_a_manifest_reaches_the_clip(tmp_path):
  manifest = tmp_path / 'm.csv'
  manifest.write_text('path,label\na.mp4,to run\nb.mp4,\n')
  assert [c.label for c in listing.find(str(manifest))] == ['to run', '']


def test_folder_of_each_kind_of_place(tmp_path):
  for name in ('videos/a.mp4', 'bear/0.jpg', 'bear/1.jpg', 'm.csv'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  places = {
      'videos': 'videos',
      'videos/a.mp4': 'videos',
      'videos/*.mp4': 'videos',
      '*/a*.mp4': '.',
      'bear': '.',
      'm.csv': '.',
  }
  for place, expected in places.items():
    found = listing.folder_of(str(tmp_path / place))
    assert found == str((tmp_path / expected).resolve()), place
