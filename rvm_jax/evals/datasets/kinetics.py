"""Kinetics-700-2020: ten seconds of what people do, in 700 classes.

  SPLIT.csv or annotations/SPLIT.csv, with the header
    label,youtube_id,time_start,time_end,split
  SPLIT/**/ID_SSSSSS_EEEEEE.mp4, from second S to E; also .webm, .mkv

or manifests of one's own, SPLIT.csv with the header path,label and paths
relative to it. SPLIT is train or val; validate or validation will also do.
"""

from collections.abc import Iterator
import csv
import os

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import labelled
from rvm_jax.evals.datasets import sampling as sampling_lib

SOURCE = (
    'Kinetics-700-2020 is had from https://github.com/cvdfoundation/'
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
  """Lists the clips of a split, whose videos are scanned but not kept.

  A class's number is its place among the labels of the training list, in
  alphabetical order.

  Args:
    data_dir: the folder with the lists and the videos.
    split: 'train' or 'val'.
    sampling: how videos are cut.
    max_bad_share: see `videos.open_all`; videos that nobody has any more count.

  Returns:
    The clips, those of a video together, and notes on what is left out.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
    ValueError: a list of another form, a label that the training list does not
      have, or too many bad videos.
  """
  train_list, list_file = (_find_list(data_dir, s) for s in ('train', split))
  numbers = {name: i for i, name in enumerate(list_classes(data_dir))}
  items = []
  for name, path, label in _read_list(data_dir, split, list_file):
    if label not in numbers:
      raise ValueError(
          f'{list_file}: {name} is of the class {label!r}, which is none of the'
          f' {len(numbers)} in {train_list}'
      )
    items.append(labelled.Labelled(name, path, numbers[label]))
  return labelled.open_clips(
      items,
      tuple(dict.fromkeys((train_list, list_file))),
      sampling,
      max_bad_share,
      SOURCE,
  )


def list_classes(data_dir: str) -> list[str]:
  """Names of the classes by their numbers: 700 in the public release."""
  rows = _read_rows(_find_list(data_dir, 'train'))
  return sorted({row['label'] for row in rows})


def _find_list(data_dir: str, split: str) -> str:
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
    if not row['label'] or None in row:
      raise ValueError(f'{path}, row {number}: expected a label, got {row}')
  if not rows:
    raise ValueError(f'{path} lists no videos')
  return rows


def _read_list(
    data_dir: str, split: str, list_file: str
) -> Iterator[tuple[str, str, str]]:
  """Yields name, path and label of each video; the path may not exist."""
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
