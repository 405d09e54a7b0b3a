"""Tells what a packed set holds from its small files, without its records.

Besides the records of each shard, a packed set has a CSV file for each shard,
with one line for each clip, and `rvm_clips.json`, which is written after all
other files.
"""

from concurrent import futures
import csv
import dataclasses
import functools
import hashlib
import io
import json
import os

from etils import epath
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import held_out
from rvm_jax.data.shards import completion
from rvm_jax.data.shards import layout
from rvm_jax.data.shards import schema
from rvm_jax.data.shards import writer
from rvm_jax.data.video import prepared

# Name of the file that only a complete set has.
NAME = completion.NAME

# Number of shards whose files are read at the same time: a request to a bucket
# takes a while, and many can wait together.
_NUM_THREADS = 16


@dataclasses.dataclass(frozen=True)
class Catalog:
  """The clips of a packed set; arrays have one entry for each of n clips.

  Attributes:
    folder: path or URL of the set.
    shards: paths of the files of each shard.
    hashes: SHA-256 of these files in hexadecimal digits, by file name.
    stops: number of clips in each shard and all shards before it, int64
      [len(shards)].
    starts: number of the clip's first frame in its video, int64 [n].
    nums_frames: number of frames of the clip, int64 [n].
    rates: frames per second of the clip, float64 [n].
    heights: height of the frames in pixels, int64 [n].
    widths: width of the frames in pixels, int64 [n].
    checksums: CRC-32 of the clip's frames as they are stored, int64 [n].
    draws: what `held_out.draw` returns for the clip's video, which decides
      whether the clip is kept out of training, float64 [n].
  """

  folder: str
  shards: tuple[layout.Paths, ...]
  hashes: dict[str, str]
  stops: np.ndarray
  starts: np.ndarray
  nums_frames: np.ndarray
  rates: np.ndarray
  heights: np.ndarray
  widths: np.ndarray
  checksums: np.ndarray
  draws: np.ndarray

  def __len__(self) -> int:
    return len(self.starts)

  def locate(self, clip: int) -> tuple[str, int]:
    """Returns the path of a clip's shard, and the clip's number in it."""
    shard, number = self._split(clip)
    return self.shards[shard].records, number

  def video(self, clip: int) -> str:
    """Returns the path of a clip's video, relative to its source's folder.

    It is read from the CSV file of the shard when it is asked for, because the
    paths of all videos would take much memory in every worker process.
    """
    shard, number = self._split(clip)
    return _videos(self.shards[shard].clips)[number]

  def _split(self, clip: int) -> tuple[int, int]:
    """Returns the number of a clip's shard, and the clip's number in it."""
    shard = int(np.searchsorted(self.stops, clip, side='right'))
    return shard, clip - (int(self.stops[shard - 1]) if shard else 0)

  def count_needed(
      self, min_frames: int, frame_rate: float | None
  ) -> np.ndarray:
    """Returns how many frames a usable clip needs, for each clip, int64 [n].

    Args:
      min_frames: number of frames that a usable clip has at least, counted at
        `frame_rate`.
      frame_rate: rate at which videos are sampled, in frames per second; None
        for each video's own rate.
    """
    return 1 + frame_sampling.to_native(min_frames - 1, self.rates, frame_rate)

  def describe_short(self, needed: np.ndarray) -> list[str]:
    """Returns a sentence for each clip that has fewer frames than it needs.

    Args:
      needed: number of frames that each clip needs, int64 [n], as
        `count_needed` returns it.
    """
    return [
        f'{self.folder}/{self.video(clip)} from frame {self.starts[clip]}: too'
        f' short: {self.nums_frames[clip]} frames, needs {needed[clip]}'
        for clip in np.flatnonzero(self.nums_frames < needed).tolist()
    ]


def is_packed(place: str) -> bool:
  """Returns whether a source is the folder of a packed set.

  Args:
    place: a source of any kind, such as a folder, a glob or a URL.

  Raises:
    ImportError: the source is in a bucket, and gcsfs is not installed.
    ValueError: the packed set is not complete; or the source is a URL that does
      not begin with gs:// or has no packed set; or it is the folder of a set
      that tensorflow-datasets prepared, without 'tfds:'.
  """
  if prepared.is_prepared(place):
    return False
  is_url = '://' in place
  if is_url and not place.startswith('gs://'):
    raise ValueError(
        f'{place} must be on a disk or begin with gs://: mount the bucket as a'
        ' folder'
    )
  try:
    if (epath.Path(place).expanduser() / NAME).exists():
      return True
  except ImportError as error:
    raise ImportError(
        f"{place} is in a bucket; to read it, pip install 'rvm_jax[gcs]'"
    ) from error
  if is_url:
    raise ValueError(
        f'{place} is no packed set: {NAME} is missing. Videos have to be on a'
        ' disk: pack them, or mount the bucket as a folder'
    )
  folder = os.path.expanduser(place)
  names = os.listdir(folder) if os.path.isdir(folder) else []
  if any(name.startswith('rvm_clips-') for name in names):
    raise ValueError(
        f'{place} is a packed set that is not complete: {NAME} is missing. To'
        ' complete it, run the command that packs it (python -m'
        ' rvm_jax.data.shards) again'
    )
  if 'dataset_info.json' in names:
    raise ValueError(
        f'{place} was prepared by tensorflow-datasets: name it as'
        f' tfds:{place}'
    )
  return False


def read(place: str) -> Catalog:
  """Reads what a packed set holds, and checks that its files fit together.

  The contents of the shards are not looked at: `rvm_jax.data.check` does that.

  Args:
    place: path of the set's folder, or its URL, such as 'gs://bucket/set'.

  Raises:
    ImportError: tensorflow-datasets is not installed.
    ValueError: the set has another version of the schema, no clips, or files
      that do not fit together.
  """
  # Without tensorflow-datasets this raises an error here, rather than in the
  # worker processes.
  schema.features()
  folder = epath.Path(place).expanduser()
  hashes, num_shards = _read_summary(folder / NAME)
  shards = tuple(
      layout.list_paths(os.fspath(folder), number, num_shards)
      for number in range(num_shards)
  )
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    tables = list(pool.map(functools.partial(_read_shard, hashes), shards))
  catalog = Catalog(
      folder=os.fspath(folder),
      shards=shards,
      hashes=hashes,
      stops=np.cumsum([len(table['starts']) for table in tables]),
      **{key: np.concatenate([t[key] for t in tables]) for key in tables[0]},
  )
  if not len(catalog):
    raise ValueError(
        f'{place} holds no clips: the files left_out-*.csv in it say why'
    )
  return catalog


def _read_summary(path: epath.Path) -> tuple[dict[str, str], int]:
  """Returns the hashes of a set's files by name, and the number of its shards.

  Args:
    path: path of `rvm_clips.json`.

  Raises:
    ValueError: the file is damaged, or has another version of the schema.
  """
  try:
    summary = json.loads(path.read_text())
    version = summary['schema_version']
    # A file of another version may have other keys, so none is read from it.
    if version == schema.SCHEMA_VERSION:
      return dict(summary['files']), int(summary['num_shards'])
  except (ValueError, TypeError, KeyError) as error:
    raise ValueError(f'{path} is damaged: {error!r}') from error
  raise ValueError(
      f'{path}: expected schema version {schema.SCHEMA_VERSION}, got {version}:'
      ' pack the videos again, or use the version of rvm_jax that packed them'
  )


def _read_shard(
    hashes: dict[str, str], paths: layout.Paths
) -> dict[str, np.ndarray]:
  """Returns the arrays of `Catalog` for the clips of one shard.

  Args:
    hashes: SHA-256 of the files of the set, by file name.
    paths: paths of the files of the shard.

  Raises:
    ValueError: a file is missing, the CSV file has another hash than
      `rvm_clips.json` says, or the file of records is too small for the clips.
  """
  try:
    size = epath.Path(paths.records).stat().length
    content = epath.Path(paths.clips).read_bytes()
  except FileNotFoundError as error:
    raise ValueError(
        f'{paths.records} or {os.path.basename(paths.clips)} is missing: copy'
        ' the whole set, or pack it again'
    ) from error
  expected = hashes.get(os.path.basename(paths.clips))
  if (found := hashlib.sha256(content).hexdigest()) != expected:
    raise ValueError(
        f'{paths.clips}: expected the SHA-256 {expected}, as {NAME} says, got'
        f' {found}: the file was changed'
    )
  rows = _parse(content)
  # A shard may have no clips.
  values = zip(*rows) if rows else [()] * len(writer.CLIP_COLUMNS)
  columns = dict(zip(writer.CLIP_COLUMNS, values))
  if size < (needed := sum(map(int, columns['num_bytes']))):
    raise ValueError(
        f'{paths.records}: expected at least {needed} bytes, as'
        f' {os.path.basename(paths.clips)} says, got {size}: the file was cut'
        ' off or replaced'
    )
  # The clips of a video follow each other, so its name is hashed only once.
  draw = functools.lru_cache(maxsize=1)(held_out.draw)
  return {
      'starts': np.array(columns['start'], np.int64),
      'nums_frames': np.array(columns['num_frames'], np.int64),
      'rates': np.array(columns['frame_rate'], np.float64),
      'heights': np.array(columns['height'], np.int64),
      'widths': np.array(columns['width'], np.int64),
      'checksums': np.array(columns['crc32'], np.int64),
      'draws': np.array([draw(video) for video in columns['video']]),
  }


def _parse(content: bytes) -> list[list[str]]:
  """Returns the rows of a CSV file, without its header."""
  reader = csv.reader(io.StringIO(content.decode(), newline=''))
  next(reader)
  return list(reader)


@functools.lru_cache(maxsize=1)
def _videos(path: str) -> list[str]:
  """Returns the path of each clip's video, from the CSV file of a shard."""
  return [row[0] for row in _parse(epath.Path(path).read_bytes())]
