"""What a packed set holds, from its small files: no record is read.

Besides its shards, a packed set has a CSV file for each shard, with one line
for each clip, and `rvm_clips.json`, which is written when all else is there.
"""

from concurrent import futures
import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
from typing import Any, NamedTuple

from etils import epath
import numpy as np

from rvm_jax.data import frame_sampling
from rvm_jax.data import held_out
from rvm_jax.data.shards import schema

# The file that a finished set has.
NAME = 'rvm_clips.json'
# Columns of the CSV files.
COLUMNS = (
    'video',
    'start',
    'num_frames',
    'frame_rate',
    'height',
    'width',
    'label',
    'num_bytes',
    'crc32',
)

# Files that are looked at side by side, because each takes a while in a bucket.
_NUM_THREADS = 16


class Shard(NamedTuple):
  """A shard of a packed set, as `rvm_clips.json` describes it.

  Attributes:
    records: name of the file with the records.
    clips: name of the CSV file that lists them.
    num_clips: number of records.
    sizes: size of both files in bytes, by name.
    hashes: SHA-256 of both files in hexadecimal digits, by name.
  """

  records: str
  clips: str
  num_clips: int
  sizes: dict[str, int]
  hashes: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Catalog:
  """The clips of a packed set; arrays have one entry for each of n clips.

  Attributes:
    folder: path or URL of the set.
    shards: the N shards.
    stops: number of clips of each shard and all before it, int64 [N].
    starts: number of the clip's first frame in its video, int64 [n].
    nums_frames: number of frames of the clip, int64 [n].
    rates: frames per second of the clip, float64 [n].
    heights: height of the frames in pixels, int64 [n].
    widths: width of the frames in pixels, int64 [n].
    checksums: CRC-32 of the clip's frames as they are stored, int64 [n].
    draws: `held_out.draw` of the clip's video, float64 [n].
  """

  folder: str
  shards: tuple[Shard, ...]
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
    return f'{self.folder}/{self.shards[shard].records}', number

  def video(self, clip: int) -> str:
    """Returns the path of a clip's video, relative to its source's folder.

    It is read from the set: the names of all videos would fill the memory of
    every process.
    """
    shard, number = self._split(clip)
    return _videos(f'{self.folder}/{self.shards[shard].clips}')[number]

  def _split(self, clip: int) -> tuple[int, int]:
    """Returns the number of a clip's shard, and the clip's number in it."""
    shard = int(np.searchsorted(self.stops, clip, side='right'))
    return shard, clip - (int(self.stops[shard - 1]) if shard else 0)

  def count_needed(
      self, min_frames: int, frame_rate: float | None
  ) -> np.ndarray:
    """Returns how many frames a usable clip needs, for each clip, int64 [n].

    Args:
      min_frames: number of frames, counted at `frame_rate`.
      frame_rate: rate at which videos are sampled, in frames per second; None
        for each video's own.
    """
    return 1 + frame_sampling.to_native(min_frames - 1, self.rates, frame_rate)

  def describe_short(self, needed: np.ndarray) -> list[str]:
    """Returns a sentence for each clip with fewer frames than it needs, [n]."""
    return [
        f'{self.folder}/{self.video(clip)} from frame {self.starts[clip]}: too'
        f' short: {self.nums_frames[clip]} frames, needs {needed[clip]}'
        for clip in np.flatnonzero(self.nums_frames < needed).tolist()
    ]


def is_packed(place: str) -> bool:
  """Returns whether a source is the folder of a packed set.

  Args:
    place: the source, of any kind.

  Raises:
    ValueError: the set is not finished, or the source is in a bucket and is no
      packed set.
  """
  if (epath.Path(place).expanduser() / NAME).exists():
    return True
  if '://' in place:
    raise ValueError(
        f'{place} is no packed set: {NAME} is missing. Videos have to be on a'
        ' disk: pack them, or mount the bucket as a folder'
    )
  folder = os.path.expanduser(place)
  names = os.listdir(folder) if os.path.isdir(folder) else []
  if any(name.startswith('rvm_clips-') for name in names):
    raise ValueError(
        f'{place} is a packed set that is not finished: {NAME} is missing. To'
        ' complete it, run the command again that packs it, python -m'
        ' rvm_jax.data.shards'
    )
  if 'dataset_info.json' in names:
    raise ValueError(
        f'{place} was prepared by tensorflow-datasets: as a source it is'
        f' tfds:{place}'
    )
  return False


def read(place: str) -> Catalog:
  """Reads what a packed set holds, and checks that its files fit together.

  The contents of the shards are not looked at: `rvm_jax.data.check` does that.

  Args:
    place: path of the set's folder, or its URL, such as 'gs://bucket/set'.

  Raises:
    ValueError: the set has another version of the schema, no clips, or files
      that do not fit together.
  """
  folder = epath.Path(place).expanduser()
  shards = _read_summary(folder / NAME)
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    tables = list(pool.map(functools.partial(_read_shard, folder), shards))
  if not tables:
    raise ValueError(f'{place} holds no shards')
  whole = {key: np.concatenate([t[key] for t in tables]) for key in tables[0]}
  catalog = Catalog(
      folder=os.fspath(folder),
      shards=shards,
      stops=np.cumsum([len(table['starts']) for table in tables]),
      **whole,
  )
  if not len(catalog):
    raise ValueError(f'{place} holds no clips: left_out-*.csv in it say why')
  return catalog


def _read_summary(path: epath.Path) -> tuple[Shard, ...]:
  """Returns what `rvm_clips.json` says of each shard."""
  try:
    summary = json.loads(path.read_text())
    version = summary['schema_version']
    # Another version may have anything else.
    is_known = version == schema.SCHEMA_VERSION
    shards = summary['shards'] if is_known else ()
    found = tuple(map(_read_shard_summary, shards))
  except (ValueError, TypeError, KeyError) as error:
    raise ValueError(f'{path} is damaged: {error!r}') from error
  if not is_known:
    raise ValueError(
        f'{path}: expected schema version {schema.SCHEMA_VERSION}, got'
        f' {version}: pack the videos again, or use the version of rvm_jax that'
        ' packed them'
    )
  return found


def _read_shard_summary(summary: dict[str, Any]) -> Shard:
  """Returns what the summary of a shard says, of two of its files."""
  files = summary['files']
  # left_out-*.csv is another file of the shard.
  (records,) = (name for name in files if name.startswith('rvm_clips-'))
  (clips,) = (name for name in files if name.startswith('clips-'))
  return Shard(
      records=records,
      clips=clips,
      num_clips=summary['num_clips'],
      sizes={name: files[name]['size'] for name in (records, clips)},
      hashes={name: files[name]['sha256'] for name in (records, clips)},
  )


def _read_shard(folder: epath.Path, shard: Shard) -> dict[str, np.ndarray]:
  """Returns the arrays of `Catalog` for the clips of one shard.

  Args:
    folder: folder of the set.
    shard: what `rvm_clips.json` says of the shard.

  Raises:
    ValueError: a file is missing, or is not as `rvm_clips.json` says.
  """
  path = folder / shard.clips
  try:
    size = (folder / shard.records).stat().length
    content = path.read_bytes()
  except FileNotFoundError as error:
    raise ValueError(
        f'{folder} is not complete: {shard.records} or {shard.clips} is missing'
    ) from error
  if size != shard.sizes[shard.records]:
    raise ValueError(
        f'{folder / shard.records}: expected {shard.sizes[shard.records]}'
        f' bytes, as {NAME} says, got {size}: the file was cut off or replaced'
    )
  found = hashlib.sha256(content).hexdigest()
  if found != shard.hashes[shard.clips]:
    raise ValueError(
        f'{path}: expected the SHA-256 {shard.hashes[shard.clips]}, as {NAME}'
        f' says, got {found}: the file was changed'
    )
  rows = _parse(content)
  if len(rows) != shard.num_clips:
    raise ValueError(
        f'{path}: expected {shard.num_clips} clips, as {NAME} says, got'
        f' {len(rows)}'
    )
  columns = dict(zip(COLUMNS, zip(*rows) if rows else [()] * len(COLUMNS)))
  # A video has many clips, and its name is hashed once.
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
  """Returns the videos of a shard's clips."""
  return [row[0] for row in _parse(epath.Path(path).read_bytes())]
