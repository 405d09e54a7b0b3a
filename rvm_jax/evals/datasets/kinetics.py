"""Kinetics-700-2020: ten-second videos of human actions, in 700 classes.

The data set's folder holds

  SPLIT.csv or annotations/SPLIT.csv, with the header
    label,youtube_id,time_start,time_end,split
  SPLIT/**/ID_SSSSSS_EEEEEE.mp4, .webm or .mkv

A video is named after its youtube_id and the seconds at which it starts and
ends. In place of the lists there may be manifests: SPLIT.csv with the header
path,label and paths relative to the manifest. SPLIT is train or val; val may
also be called validate or validation.
"""

from collections.abc import Iterator
import csv
import os

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import labelled
from rvm_jax.evals.datasets import sampling as sampling_lib

SOURCE = (
    'Kinetics-700-2020 is available from https://github.com/cvdfoundation/'
    'kinetics-dataset; see docs/datasets/kinetics.md'
)
_NAMES = {'train': ('train',), 'val': ('val', 'validate', 'validation')}
_SUFFIXES = '.mp4', '.webm', '.mkv'


def read(
    data_dir: str,
    split: str,
    sampling: sampling_lib.Sampling,
    max_bad_share: float,
) -> tuple[list[labelled.LabelledClip], list[str]]:
  """Lists the clips of a split, and indexes their videos.

  The classes are the labels of the training list, numbered from 0 in
  alphabetical order.

  Args:
    data_dir: folder that holds the lists and the videos.
    split: name of the split, 'train' or 'val'.
    sampling: how videos are cut.
    max_bad_share: largest share of the split's videos that may be bad: broken,
      of a single frame, or missing, as after their removal from YouTube.

  Returns:
    The clips, those of a video together, and notes: sentences on the videos
    that are left out.

  Raises:
    FileNotFoundError: a file or folder is missing; the message names it.
    ValueError: a list has another form, a label is not in the training list, or
      too many videos are bad.
  """
  train_list, list_file = (_find_list(data_dir, s) for s in ('train', split))
  classes = sorted({row['label'] for row in _read_rows(train_list)})
  numbers = {name: number for number, name in enumerate(classes)}
  items = []
  for name, path, label in _list_videos(data_dir, split, list_file):
    if label not in numbers:
      raise ValueError(
          f'{list_file}: {name} is of the class {label!r}, which is none of the'
          f' {len(numbers)} in {train_list}'
      )
    items.append(labelled.LabelledVideo(name, path, numbers[label]))
  return labelled.open_clips(
      items,
      classes,
      tuple(dict.fromkeys((train_list, list_file))),
      sampling,
      max_bad_share,
      SOURCE,
  )


def _find_list(data_dir: str, split: str) -> str:
  """Returns the path of a split's list, which has several allowed names."""
  paths = [
      os.path.join(data_dir, folder, f'{name}.csv')
      for folder in ('', 'annotations')
      for name in _NAMES[split]
  ]
  for path in paths:
    if os.path.isfile(path):
      return path
  raise FileNotFoundError(
      f'{paths[0]} is missing, and so are {", ".join(paths[1:])}. {SOURCE}'
  )


def _read_rows(path: str) -> list[dict[str, str]]:
  """Returns the rows of a list or manifest, each with a label."""
  with open(path, newline='', encoding='utf-8-sig') as f:
    reader = csv.DictReader(f)
    header = set(reader.fieldnames or [])
    if not any(
        columns <= header
        for columns in (
            {'path', 'label'},
            {'label', 'youtube_id', 'time_start', 'time_end'},
        )
    ):
      raise ValueError(
          f'{path}: expected the header label,youtube_id,time_start,time_end,'
          f'split or path,label, got {",".join(reader.fieldnames or [])!r}'
      )
    rows = list(reader)
  for number, row in enumerate(rows, 2):
    if not row['label'] or None in row or None in row.values():
      raise ValueError(
          f'{path}, row {number}: expected a label and as many columns as the'
          f' header has, got {row}'
      )
  if not rows:
    raise ValueError(f'{path} lists no videos')
  return rows


def _list_videos(
    data_dir: str, split: str, list_file: str
) -> Iterator[tuple[str, str, str]]:
  """Yields name, path and label of each video, even if its file is missing."""
  rows = _read_rows(list_file)
  if 'path' in rows[0]:
    root = os.path.dirname(os.path.abspath(list_file))
    for row in rows:
      path = os.path.normpath(os.path.join(root, row['path']))
      yield os.path.relpath(path, root), path, row['label']
    return
  folders = [os.path.join(data_dir, name) for name in _NAMES[split]]
  folder = next(filter(os.path.isdir, folders), None)
  if folder is None:
    raise FileNotFoundError(f'the folder {folders[0]} is missing. {SOURCE}')
  paths = files.find_by_stem(os.path.abspath(folder), _SUFFIXES)
  for number, row in enumerate(rows, 2):
    try:
      start, end = (int(float(row[key])) for key in ('time_start', 'time_end'))
    except ValueError as error:
      raise ValueError(
          f'{list_file}, row {number}: time_start and time_end must be seconds,'
          f' got {row}'
      ) from error
    stem = f'{row["youtube_id"]}_{start:06d}_{end:06d}'
    expected = os.path.join(
        os.path.abspath(folder), row['label'], f'{stem}.mp4'
    )
    yield stem, paths.get(stem, expected), row['label']
