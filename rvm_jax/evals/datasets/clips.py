"""Reads one's own labelled videos, from a list or from folders of classes.

The data have one of these layouts

  LIST.csv                 a file with the header path,label or
                           path,label,split; paths are relative to the file
  FOLDER/CLASS/**          a folder for each class, and its videos below it
  FOLDER/SPLIT/CLASS/**    the same for each split

A split is train, test or val. Videos of val are scored if there are none of
test, and are not used otherwise.

Where no split is given, a hash of each video's path, relative to the list or
the folder, puts about one video in five into the test split. A video therefore
stays in its split when others are added.
"""

from collections.abc import Iterator, Sequence
import csv
import hashlib
import io
import os
from typing import NamedTuple

from rvm_jax.data.video import listing
from rvm_jax.evals.datasets import labelled
from rvm_jax.evals.datasets import sampling as sampling_lib

SOURCE = 'docs/datasets/clips.md says how to arrange videos and labels'
_SPLITS = 'train', 'test', 'val'
_HEADERS = ['path', 'label'], ['path', 'label', 'split']
# Without given splits, about one video in so many is in the test split.
_TEST_PARTS = 5


class _Entry(NamedTuple):
  """A video as it is listed.

  Attributes:
    name: path relative to the list or the folder.
    path: absolute path.
    label: name of the class.
    split: 'train', 'test' or 'val'; None if no split is given.
    place: file and line of the list; '' for a folder.
  """

  name: str
  path: str
  label: str
  split: str | None
  place: str = ''


def read(
    data_dir: str,
    split: str,
    sampling: sampling_lib.Sampling,
    max_bad_share: float,
) -> tuple[list[labelled.LabelledClip], list[str]]:
  """Lists the clips of a split, and indexes their videos.

  Classes are numbered from 0 in alphabetical order.

  Args:
    data_dir: path of the list or of the folder.
    split: name of the split, 'train' or 'test'.
    sampling: how videos are cut.
    max_bad_share: largest share of the split's videos that may be bad: missing,
      broken or of a single frame.

  Returns:
    The clips, those of a video together, and notes: sentences on the split and
    on the videos that are left out.

  Raises:
    FileNotFoundError: there is nothing at `data_dir`.
    ValueError: the list or the folder has another form, a video is listed
      twice, there are fewer than two classes, a class has no training videos,
      there are no test videos, or too many videos are bad.
  """
  if not os.path.exists(data_dir):
    raise FileNotFoundError(f'{data_dir} is missing. {SOURCE}')
  is_list = os.path.isfile(data_dir)
  listed = list(_read_list(data_dir) if is_list else _walk(data_dir))
  entries, split_note = _settle_splits(listed)
  classes = sorted({entry.label for entry in entries})
  _check(data_dir, entries, classes)
  numbers = {label: number for number, label in enumerate(classes)}
  clips, notes = labelled.open_clips(
      [
          labelled.LabelledVideo(e.name, e.path, numbers[e.label], e.place)
          for e in entries
          if e.split == split
      ],
      classes,
      (data_dir,) if is_list else (),
      sampling,
      max_bad_share,
      SOURCE,
  )
  if split_note and split == 'test':
    notes.append(split_note)
  return clips, notes


def _read_list(path: str) -> Iterator[_Entry]:
  """Yields the videos of a list."""
  if not path.lower().endswith('.csv'):
    raise ValueError(f'{path} must be a folder or a .csv file. {SOURCE}')
  # The file is decoded at once, so that an error can name the line. Some
  # spreadsheets put a byte order mark first.
  with open(path, 'rb') as f:
    data = f.read()
  try:
    text = data.decode('utf-8').removeprefix('\ufeff')
  except UnicodeDecodeError as error:
    line = data[: error.start].count(b'\n') + 1
    raise ValueError(
        f'{path}, line {line}: the file must be saved as UTF-8; another'
        f' encoding, such as Latin-1, has the byte {data[error.start]:#x} there'
    ) from error
  reader = csv.reader(io.StringIO(text, newline=''), skipinitialspace=True)
  try:
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
  except csv.Error as error:
    raise ValueError(f'{path}, line {reader.line_num}: {error}') from error
  header = rows[0][1] if rows else []
  if header not in _HEADERS:
    raise ValueError(
        f'{path}: expected the header path,label or path,label,split, got'
        f' {",".join(header)!r}'
    )
  root = os.path.dirname(os.path.abspath(path))
  for line, row in rows[1:]:
    if not any(row):
      continue
    place = f'{path}, line {line}'
    if len(row) != len(header) or not all(row):
      raise ValueError(f'{place}: expected {",".join(header)}, got {row}')
    video, label, *split = row
    if split and split[0] not in _SPLITS:
      raise ValueError(
          f'{place}: the split must be {" or ".join(_SPLITS)}, got'
          f' {split[0]!r}'
      )
    video = os.path.normpath(os.path.join(root, video))
    name = os.path.relpath(video, root)
    yield _Entry(name, video, label, *(split or [None]), place)


def _walk(folder: str) -> Iterator[_Entry]:
  """Yields the videos in the folders of classes."""
  root = os.path.abspath(folder)
  try:
    found = listing.find(root)
  except ValueError as error:
    raise ValueError(f'{folder} holds no videos. {SOURCE}') from error
  # Folders of these names are splits only if train and one more of them exist.
  # Otherwise such a name may be that of a class.
  splits = [n for n in _SPLITS if os.path.isdir(os.path.join(root, n))]
  has_splits = 'train' in splits and len(splits) > 1
  for clip in found:
    # Below the root come the split, if there are splits, and the class.
    name = os.path.relpath(clip.path, root)
    *folders, _ = name.split(os.sep)
    split = folders.pop(0) if has_splits and folders else None
    if has_splits and split not in splits:
      raise ValueError(
          f'{clip.path} is in none of the folders {", ".join(splits)}, which'
          f' {folder} has for its splits'
      )
    if not folders:
      raise ValueError(f'{clip.path} is not in the folder of a class. {SOURCE}')
    yield _Entry(name, clip.path, folders[0], split)


def _settle_splits(listed: Sequence[_Entry]) -> tuple[list[_Entry], str]:
  """Returns the videos of 'train' and 'test', and a note ('' for none)."""
  given = {entry.split for entry in listed}
  if given == {None}:
    entries = [e._replace(split=_choose_split(e.name)) for e in listed]
    num_test = sum(entry.split == 'test' for entry in entries)
    return entries, (
        f'no split is given: {num_test} of {len(entries)} videos are for the'
        f' test, one in {_TEST_PARTS} by a hash of their paths'
    )
  held_out = 'test' if 'test' in given else 'val'
  entries = [
      e._replace(split='train' if e.split == 'train' else 'test')
      for e in listed
      if e.split in ('train', held_out)
  ]
  unused = len(listed) - len(entries)
  return entries, f'{unused} videos of val are not used' if unused else ''


def _choose_split(name: str) -> str:
  """Returns 'test' for one name in `_TEST_PARTS`, and otherwise 'train'."""
  digest = hashlib.sha256(name.replace(os.sep, '/').encode()).digest()
  is_test = int.from_bytes(digest[:8], 'big') % _TEST_PARTS == 0
  return 'test' if is_test else 'train'


def _check(data_dir: str, entries: Sequence[_Entry], classes: Sequence[str]):
  """Raises ValueError if a head cannot be fitted to the data or scored."""
  if not entries:
    raise ValueError(f'{data_dir} lists no videos. {SOURCE}')
  seen = {}
  for entry in entries:
    if first := seen.get(entry.path):
      raise ValueError(
          f'{entry.place}: {entry.name} is listed again, for {entry.split};'
          f' {first.place} lists it for {first.split}. Remove one of the lines'
      )
    seen[entry.path] = entry
  if len(classes) == 1:
    raise ValueError(
        f'{data_dir}: all {len(entries)} videos are of the class'
        f' {classes[0]!r}; there must be two classes at least'
    )
  trained = {entry.label for entry in entries if entry.split == 'train'}
  if missing := [label for label in classes if label not in trained]:
    raise ValueError(
        f'{data_dir}: {len(missing)} of {len(classes)} classes have no training'
        f' videos, such as {", ".join(missing[:5])}. {SOURCE}'
    )
  if all(entry.split == 'train' for entry in entries):
    raise ValueError(f'{data_dir} has no test videos. {SOURCE}')
