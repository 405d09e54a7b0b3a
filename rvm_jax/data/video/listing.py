"""Lists the clips of a data set: a folder, a glob, a manifest or one file."""

from collections.abc import Mapping, Sequence
import csv
import dataclasses
import glob
import io
import math
import os
import re

from absl import logging

from rvm_jax.data.video import lookups
from rvm_jax.data.video import prepared
from rvm_jax.data.video import sequences

# Suffixes of files that are no videos and lie beside videos in many data sets.
# Any other file in a folder is taken for a video, and reported as bad if it is
# not one.
COMPANIONS = frozenset(
    '.bmp .csv .db .gz .html .ini .jpeg .jpg .json .jsonl .log .md .npy .npz'
    ' .pdf .pgm .pkl .png .ppm .py .rst .srt .tar .tif .tiff .tsv .txt .vtt'
    ' .webp .xml .yaml .yml .zip'.split()
)


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
  """A span of a video.

  Attributes:
    path: absolute path of the file or of a folder of pictures, or the path of a
      video in a prepared set (see `prepared`).
    start: start of the span in seconds.
    end: end of the span in seconds; None for the end of the video.
    manifest: path of the manifest that lists the clip; '' if none does.
    line: number of the clip's line in the manifest, counted from 1; 0 without a
      manifest.
    label: label of the clip in the manifest; '' if there is none.
  """

  path: str
  start: float = 0.0
  end: float | None = None
  manifest: str = dataclasses.field(default='', compare=False)
  line: int = dataclasses.field(default=0, compare=False)
  label: str = dataclasses.field(default='', compare=False)

  @property
  def name(self) -> str:
    """Name of the clip for messages: its manifest and line if any, its path."""
    where = f'{self.manifest}, line {self.line}: ' if self.manifest else ''
    return where + self.path


def find(place: str) -> list[Clip]:
  """Lists the clips of a data set.

  Args:
    place: path of a folder, a glob, a manifest, or a video file. A folder
      stands for every file in it and in its subfolders, except hidden files,
      companions (text, pictures, archives: see COMPANIONS) and links to
      folders. If the folder or a subfolder holds numbered pictures and no
      video, that folder is itself one video, as `sequences` describes. A glob
      ('/data/*/*.mp4', '**' for any depth) stands for the files that match it,
      and for the contents of the folders that match it. A manifest is a .csv
      file with the header `path,start,end,label`, of which only `path` is
      needed. Each row names a file or a folder of pictures, by an absolute path
      or one relative to the manifest's folder; `start` and `end` are in
      seconds, and `label` is any text. 'tfds:DIR' and 'tfds:DIR:SPLIT' stand
      for the videos of a set that tensorflow-datasets prepared, as `prepared`
      describes.

  Returns:
    The clips: those of a manifest and of a prepared set in its order, all
    others in the order of their paths.

  Raises:
    ValueError: there are no videos, or the manifest cannot be understood.
  """
  if prepared.is_prepared(place):
    return [Clip(path) for path in prepared.list_videos(place)]
  place = os.path.expanduser(place)
  if place.lower().endswith('.csv') and os.path.isfile(place):
    clips = _manifest(place)
  elif os.path.isfile(place):
    clips = [Clip(os.path.abspath(place))]
  else:
    roots = (
        [place] if os.path.isdir(place) else glob.glob(place, recursive=True)
    )
    clips = [Clip(path) for path in sorted(_files(roots))]
  if not clips:
    raise ValueError(
        f'{place!r} holds no videos: expected a folder of video files or of'
        ' numbered pictures, a glob that matches some, a manifest (.csv) that'
        ' lists some, or a video'
    )
  return clips


def _files(roots: Sequence[str]) -> set[str]:
  """Returns the absolute paths of videos.

  Each folder is listed once, several folders at a time. The file system is not
  asked about the single files in a folder, unless they are links.

  Args:
    roots: paths of video files, and of folders to search.
  """
  roots = [os.path.abspath(root) for root in roots]
  are_folders = list(lookups.ask_all(os.path.isdir, roots))
  found = set()
  waiting, seen = set(), set()
  for root, is_folder in zip(roots, are_folders):
    if is_folder:
      waiting.add(root)
    elif _is_video(os.path.basename(root)):
      found.add(root)
  # List one level of folders after the other.
  while waiting:
    seen |= waiting
    below = set()
    for videos, folders in lookups.ask_all(_list_folder, sorted(waiting)):
      found.update(videos)
      below.update(folders)
    waiting = below - seen
  return found


def _list_folder(folder: str) -> tuple[list[str], list[str]]:
  """Returns the paths of the videos in a folder, and of the folders to search.

  The folder itself is its one video if it is a sequence of pictures. Hidden
  folders and links to folders are not searched.
  """
  names, folders = [], []
  try:
    with os.scandir(folder) as entries:
      for entry in entries:
        if entry.is_dir(follow_symlinks=False):
          folders.append(entry.name)
        elif not entry.is_symlink() or not os.path.isdir(entry.path):
          names.append(entry.name)
  except OSError as error:
    logging.warning('%s is left out: %s', folder, error.strerror)
  videos = [os.path.join(folder, name) for name in filter(_is_video, names)]
  # Pictures beside videos are taken for thumbnails of the videos.
  if not videos and sequences.is_sequence(names):
    videos.append(folder)
  return videos, [
      os.path.join(folder, name) for name in folders if name[0] != '.'
  ]


def _is_video(name: str) -> bool:
  """Returns whether a file of this name is taken for a video."""
  suffix = os.path.splitext(name)[1].lower()
  return not name.startswith('.') and suffix not in COMPANIONS


def _manifest(path: str) -> list[Clip]:
  """Returns the clips of a manifest.

  Raises:
    ValueError: the manifest cannot be understood. The error names the line.
  """
  columns = ['path', 'start', 'end', 'label']
  clips = []
  # In strict mode a quote that is never closed is an error. Otherwise it would
  # make one path of all rows after it.
  reader = csv.DictReader(
      io.StringIO(_read_text(path), newline=''), strict=True
  )
  try:
    header = reader.fieldnames or []
    if (
        'path' not in header
        or not set(header) <= set(columns)
        or len(set(header)) < len(header)
    ):
      raise ValueError(
          f'{path}: expected the header {",".join(columns)} (path, and any of'
          f' the others), got {",".join(header)!r}'
      )
    for row in reader:
      clips.append(_read_row(path, reader.line_num, header, row))
  except csv.Error as error:
    line = reader.reader.line_num
    raise ValueError(f'{path}, line {line}: {error}') from error
  return clips


def _read_text(path: str) -> str:
  """Returns the text of a manifest, without a byte order mark.

  Raises:
    ValueError: the file is not text in UTF-8.
  """
  with open(path, 'rb') as file:
    content = file.read()
  try:
    text = content.decode('utf-8-sig')
    place, found = text.find('\0'), 'a NUL byte'
  except UnicodeDecodeError as error:
    text, place = error.object.decode('latin-1'), error.start
    found = f'the byte 0x{error.object[place]:02x}'
  if place >= 0:
    line = text.count('\n', 0, place) + 1
    raise ValueError(
        f'{path}, line {line}: expected text in UTF-8, got {found}; save the'
        ' file as UTF-8'
    )
  return text


def _read_row(
    path: str, line: int, header: Sequence[str], row: Mapping
) -> Clip:
  """Returns the clip of a row of a manifest.

  Args:
    path: path of the manifest.
    line: number of the row's line.
    header: names of the columns.
    row: the values by the names of their columns; values without a column are
      under the key None.

  Raises:
    ValueError: a value is missing, wrong, or has no column.
  """
  where = f'{path}, line {line}'
  if not row['path'] or None in row:
    raise ValueError(f'{where}: expected {",".join(header)}, got {row}')
  try:
    start = float(row.get('start') or 0)
    end = float(row['end']) if row.get('end') else None
  except ValueError as error:
    raise ValueError(
        f'{where}: start and end must be seconds, got {row}'
    ) from error
  if not 0 <= start < (math.inf if end is None else end) or end == math.inf:
    raise ValueError(f'{where}: expected 0 <= start < end, got {row}')
  video = os.path.join(os.path.dirname(os.path.abspath(path)), row['path'])
  label = row.get('label') or ''
  return Clip(os.path.normpath(video), start, end, path, line, label)


def folder_of(place: str) -> str:
  """Returns the folder to which the paths of a data set are relative.

  Args:
    place: the data set, as `find` takes it.

  Returns:
    An absolute path. For a folder it is the path of the folder itself; for a
    manifest, a video file, or a folder of pictures that is one video, the path
    of the folder around it; for a glob, the path of the innermost folder before
    its first wildcard; for a prepared set, 'tfds:' and the path of the set.
  """
  if prepared.is_prepared(place):
    return prepared.folder_of(place)
  place = os.path.abspath(os.path.expanduser(place))
  if os.path.isdir(place):
    with os.scandir(place) as entries:
      names = [entry.name for entry in entries if entry.is_file()]
    is_one = not any(map(_is_video, names)) and sequences.is_sequence(names)
    return os.path.dirname(place) if is_one else place
  if not os.path.isfile(place):
    place = place[: re.search(r'[*?[]|$', place).start()]
  return os.path.dirname(place)
