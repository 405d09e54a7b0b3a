"""Lists the clips of a data set: a folder, a glob, a manifest or one file."""

from collections.abc import Iterator
import csv
import glob
import os
from typing import NamedTuple

# Suffixes of files that lie beside the videos in many data sets. Any other file
# in a folder is taken for a video, and reported as bad if it is not one.
COMPANIONS = frozenset(
    '.bmp .csv .gz .html .jpeg .jpg .json .jsonl .log .md .npy .npz .pdf .pkl'
    ' .png .py .rst .srt .tar .tif .tiff .tsv .txt .vtt .webp .xml .yaml .yml'
    ' .zip'.split()
)


class Clip(NamedTuple):
  """A span of a video file.

  Attributes:
    path: absolute path of the file.
    start: start of the span in seconds.
    end: end of the span in seconds; None for the end of the file.
  """

  path: str
  start: float = 0.0
  end: float | None = None


def find(place: str) -> list[Clip]:
  """Lists the clips of a data set.

  Args:
    place: path of a folder, a glob, a manifest, or a video file. A folder
      stands for every file in it and in its subfolders, except hidden files,
      companions (text, pictures, archives: see COMPANIONS) and links to
      folders. A glob ('/data/*/*.mp4', '**' for any depth) stands for the files
      that match, and for the folders that match. A manifest is a .csv file with
      the header `path,start,end,label`, of which only `path` is needed; paths
      are relative to the manifest, `start` and `end` are in seconds, and the
      label is not read here.

  Returns:
    The clips of a manifest in its order; others in the order of their paths.

  Raises:
    ValueError: there are no videos, or the manifest cannot be understood.
  """
  place = os.path.expanduser(place)
  if place.lower().endswith('.csv') and os.path.isfile(place):
    clips = _manifest(place)
  elif os.path.isfile(place):
    clips = [Clip(os.path.abspath(place))]
  else:
    roots = (
        [place] if os.path.isdir(place) else glob.glob(place, recursive=True)
    )
    paths = {os.path.abspath(path) for root in roots for path in _files(root)}
    clips = [Clip(path) for path in sorted(paths)]
  if not clips:
    raise ValueError(
        f'{place!r} holds no videos: expected a folder of video files, a glob'
        ' that matches some, a manifest (.csv) that lists some, or a video'
    )
  return clips


def _files(root: str) -> Iterator[str]:
  """Yields the paths of the videos in a folder, or of one video file."""
  if not os.path.isdir(root):
    paths = [root]
  else:
    paths = []
    for folder, folders, names in os.walk(root):
      folders[:] = [name for name in folders if not name.startswith('.')]
      paths += [os.path.join(folder, name) for name in names]
  for path in paths:
    name = os.path.basename(path)
    suffix = os.path.splitext(name)[1].lower()
    if not name.startswith('.') and suffix not in COMPANIONS:
      yield path


def _manifest(path: str) -> list[Clip]:
  """Returns the clips of a manifest."""
  columns = ['path', 'start', 'end', 'label']
  clips = []
  with open(path, newline='', encoding='utf-8-sig') as file:
    reader = csv.DictReader(file)
    header = reader.fieldnames or []
    if 'path' not in header or not set(header) <= set(columns):
      raise ValueError(
          f'{path}: expected the header {",".join(columns)} (path, and any of'
          f' the others), got {",".join(header)!r}'
      )
    for row in reader:
      where = f'{path}, line {reader.line_num}'
      if not row['path'] or None in row:
        raise ValueError(f'{where}: expected {",".join(header)}, got {row}')
      try:
        start = float(row.get('start') or 0)
        end = float(row['end']) if row.get('end') else None
      except ValueError as error:
        raise ValueError(
            f'{where}: start and end must be seconds, got {row}'
        ) from error
      if start < 0 or (end is not None and end <= start):
        raise ValueError(f'{where}: expected 0 <= start < end, got {row}')
      video = os.path.join(os.path.dirname(os.path.abspath(path)), row['path'])
      clips.append(Clip(os.path.normpath(video), start, end))
  return clips
