"""The plan of a packed set: which videos go into which shard, and how.

The plan depends on the listing and on the settings alone: of the sorted videos
v[0], v[1], ... shard k of n holds v[k], v[k + n], v[k + 2 n] and so on. So a
shard has the same bytes however the work is divided and however often it is
interrupted. The first command that writes to a folder saves the plan there, and
all later ones compare theirs with it.
"""

from collections.abc import Sequence
import dataclasses
import importlib.metadata
import json
import math
import os
from typing import Any, NamedTuple

from rvm_jax.data.shards import cutting
from rvm_jax.data.shards import schema
from rvm_jax.data.video import listing
from rvm_jax.storage import files
from rvm_jax.storage import settings as settings_lib

# Formats in which the frames of a clip can be stored: one JPEG file for each
# frame, or one mp4 file for each clip.
FORMATS = ('jpeg', 'mp4')
# Name of the plan in the folder of a packed set.
NAME = 'plan.json'
# Greatest number of videos in a shard by default.
_VIDEOS_PER_SHARD = 64
# Least number of shards by default, if there are as many videos.
_MIN_SHARDS = 16


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings by which videos are cut into clips, reduced and stored.

  Attributes:
    format: one of FORMATS.
    quality: for jpeg, the quality of the files, 1 to 95 (best); for mp4, the
      CRF of the H.264 encoder, 0 (best) to 51.
    short_side: length in pixels of the shorter side to which larger frames are
      reduced.
    clip_frames: number of frames of a clip.
    min_frames: least number of frames of the last clip of a video, or of a
      shot. A shorter clip is left out.
    cuts: whether clips end at scene cuts.
  """

  format: str
  quality: int
  short_side: int
  clip_frames: int
  min_frames: int
  cuts: bool

  def describe(self) -> dict[str, Any]:
    """Returns the settings by name, and the versions of libraries.

    The key 'versions' has the version of each library on which the bytes of the
    clips depend.

    Raises:
      ImportError: PySceneDetect is needed and not installed.
    """
    names = ['av', 'pillow', 'array_record']
    versions = {name: importlib.metadata.version(name) for name in names}
    if self.cuts:
      versions |= cutting.versions()
    return {**dataclasses.asdict(self), 'versions': versions}


class Video(NamedTuple):
  """A video to pack, or a span of one that a manifest lists.

  Attributes:
    name: path relative to the folder of its source, with slashes.
    clip: the video or span, as `listing.find` returns it.
  """

  name: str
  clip: listing.Clip

  def describe(self) -> list[Any]:
    """Returns name, start, end and label, as `plan.json` stores them."""
    return [self.name, self.clip.start, self.clip.end, self.clip.label]


def list_videos(places: Sequence[str]) -> list[Video]:
  """Lists the videos of all sources, sorted by name, start, end and label.

  Args:
    places: folders, globs, manifests or videos, as `listing.find` takes them. A
      video that several of them list under one name counts once.

  Raises:
    ValueError: a source has no videos, or two different videos would have the
      same name.
  """
  videos = {}
  for place in places:
    folder = listing.folder_of(place)
    for clip in listing.find(place):
      # A name may have bytes that are not UTF-8: they become text such as \xe9.
      name = os.fsencode(os.path.relpath(clip.path, folder))
      name = name.decode('utf-8', 'backslashreplace').replace(os.sep, '/')
      video = Video(name, clip)
      key = name, clip.start, clip.end or math.inf, clip.label
      known = videos.setdefault(key, video)
      if known.clip.path != clip.path:
        raise ValueError(
            f'{known.clip.path} and {clip.path} would both be called {name!r}:'
            ' give a folder that holds both, or pack them into two folders'
        )
  return [videos[key] for key in sorted(videos)]


def count_shards(num_videos: int) -> int:
  """Returns the default number of shards.

  There is one shard for each 64 videos, but there are at least 16 shards, so
  that all cores have something to do, and no more shards than videos.
  """
  wanted = max(_MIN_SHARDS, math.ceil(num_videos / _VIDEOS_PER_SHARD))
  return min(num_videos, wanted)


def claim(
    folder: str, settings: Settings, num_shards: int, videos: Sequence[Video]
):
  """Saves the plan in a folder, or compares it with the one that is there.

  Args:
    folder: folder of the packed set; it is made if it does not exist.
    settings: how to cut, reduce and store the videos.
    num_shards: number of shards.
    videos: all videos, as `list_videos` returns them.

  Raises:
    ImportError: PySceneDetect is needed and not installed.
    ValueError: the folder holds another plan, or other files and no plan.
    OSError: the plan cannot be written.
  """
  path = os.path.join(folder, NAME)
  plan = {
      'schema_version': schema.SCHEMA_VERSION,
      'num_shards': num_shards,
      'settings': settings.describe(),
  }
  listed = [video.describe() for video in videos]
  os.makedirs(folder, exist_ok=True)
  if not os.path.exists(path):
    others = [name for name in os.listdir(folder) if not name.startswith('.')]
    # Another host may have written the plan in between.
    if others and NAME not in others:
      raise ValueError(
          f'{folder} holds other files ({others[0]}), and no {NAME}: give an'
          ' empty folder'
      )
    try:
      with files.write_whole(path) as part, open(part, 'w') as file:
        json.dump(plan | {'videos': listed}, file)
      return
    except FileExistsError:
      pass
  with open(path) as file:
    saved = json.load(file)
  before = saved.pop('videos')
  differences = settings_lib.list_differences(saved, plan)
  if listed != before:
    differences['videos'] = _compare(before, listed)
  if differences:
    found = '; '.join(f'{key}: {text}' for key, text in differences.items())
    raise ValueError(
        f'{folder} was begun with another plan. {found}. Give the same'
        ' settings and videos as before, or another folder'
    )


def _compare(before: list[list], now: list[list]) -> str:
  """Returns how two listings differ: their lengths, and up to three names each.

  Args:
    before: videos of the saved plan, as `Video.describe` returns them.
    now: videos of this command, as `Video.describe` returns them.
  """
  old, new = ({tuple(video) for video in videos} for videos in (before, now))
  parts = [f'saved {len(before)}, now {len(now)}']
  for what, videos in (('missing now', old - new), ('new', new - old)):
    if videos:
      names = sorted(video[0] for video in videos)
      more = ', ...' if len(names) > 3 else ''
      parts.append(f'{what}: {", ".join(names[:3])}{more}')
  return ', '.join(parts)
