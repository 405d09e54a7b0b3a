"""Perception Test: points tracked through videos.

The data set's folder holds, at any depth,

  point_tracking_SPLIT.json   {video: {metadata, point_tracking: [{frame_ids,
                              points, ...}]}}
  VIDEO.mp4

Points are shares of height and width, y before x, as [[y, ...], [x, ...]] or as
[[y, x], ...]. In frames that a track does not list the point is occluded.
"""

from collections.abc import Sequence
import dataclasses
import os

import numpy as np

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import videos

SOURCE = (
    'The Perception Test is available from'
    ' https://github.com/google-deepmind/perception_test; see'
    ' docs/datasets/perception_test.md'
)


@dataclasses.dataclass(frozen=True)
class Tracks:
  """The annotated points of a video.

  Attributes:
    points: float32 [P, F, 2], (x, y) as shares of width and height, 0 where a
      point is occluded.
    visible: bool [P, F], whether a point is visible.
  """

  points: np.ndarray
  visible: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrackedClip:
  """A clip and the points of its video, an `ExampleRecord`.

  Attributes:
    video_name: name of the video in the annotations.
    files: paths of the video and of the annotations.
    video: the video that the clip is cut from.
    tracks: points in all frames of the video.
    sampling: how the clip is cut.
    cut: the clip's own cut.
    num_points: P, points of the example. If the clip has more, the first of the
      annotations are taken, or random ones with a random cut.
  """

  video_name: str
  files: tuple[str, ...]
  video: videos.VideoFile
  tracks: Tracks
  sampling: sampling_lib.Sampling
  cut: sampling_lib.Cut
  num_points: int

  @property
  def name(self) -> str:
    """Name of the video, and its frame that comes first."""
    return f'{self.video_name}@{self.cut.numbers[0]}'

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """Returns the example of a cut.

    Args:
      rng: source of randomness for another cut of the video; with None the
        clip's own cut is taken.

    Returns:
      frames: uint8 [T, height, width, 3].
      tracks: float32 [P, T, 2], (x, y) in pixels of these frames, 0 where a
        point is occluded.
      visible: bool [P, T], False also for points outside the crop.
      is_valid: bool [P], False for points that are padding.

    Raises:
      BrokenVideo: the file has changed since it was indexed, or cannot be read
        any more.
    """
    cut, ground_truth = self.sampling.sample_with(
        rng, self.video, self.cut, self.follow
    )
    chosen = np.arange(len(ground_truth['tracks']))
    if rng is not None:
      rng.shuffle(chosen)
    chosen = chosen[: self.num_points]
    padding = self.num_points - len(chosen)
    ground_truth = {
        key: np.pad(value[chosen], [(0, padding)] + [(0, 0)] * (value.ndim - 1))
        for key, value in ground_truth.items()
    }
    is_valid = np.arange(self.num_points) < len(chosen)
    return {'frames': cut.read(self.video), 'is_valid': is_valid} | ground_truth

  def follow(self, cut: sampling_lib.Cut) -> dict[str, np.ndarray] | None:
    """Returns the points of a cut of the video.

    Args:
      cut: frames and crop.

    Returns:
      'tracks', float32 [n, T, 2], (x, y) in pixels of the crop, and 'visible',
      bool [n, T], of the points that are visible in the first frame; None
      instead if there is no such point.
    """
    points = self.tracks.points[:, cut.numbers]  # [P, T, 2]
    annotated = self.tracks.visible[:, cut.numbers]
    moved = cut.crop.move_points(points * (self.video.width, self.video.height))
    visible = annotated & cut.crop.is_inside(moved)
    moved = np.where(annotated[..., None], moved, np.float32(0))
    is_asked = visible[:, 0]
    if not is_asked.any():
      return None
    return {'tracks': moved[is_asked], 'visible': visible[is_asked]}


def read(
    data_dir: str,
    split: str,
    sampling: sampling_lib.Sampling,
    max_bad_share: float,
    num_points: int | None = None,
) -> tuple[list[TrackedClip], list[str]]:
  """Lists the clips of a split that show a point in their first frame.

  The videos are indexed.

  Args:
    data_dir: folder that holds the annotations and the videos, at any depth.
    split: name of the split, 'train', 'valid' or 'test'.
    sampling: how videos are cut.
    max_bad_share: largest share of bad videos, see `videos.open_all`. A video
      that is too short for a clip is bad.
    num_points: P, points of an example; None for the largest number that a clip
      has.

  Returns:
    The clips, and notes on what is left out or unexpected.

  Raises:
    FileNotFoundError: the annotations are missing.
    ValueError: annotations have another form or a frame that the video does not
      have, too many videos are bad, several crops are asked for, or no clip has
      a point.
  """
  name = f'point_tracking_{split}'
  list_file = files.find_by_stem(data_dir, ('.json',)).get(name)
  if list_file is None:
    raise FileNotFoundError(f'{data_dir} holds no {name}.json. {SOURCE}')
  annotations = files.read_json(list_file, SOURCE)
  if not isinstance(annotations, dict):
    raise ValueError(f'{list_file} must be {{video: annotations}}')
  found = files.find_by_stem(os.path.abspath(data_dir), ('.mp4',))
  paths = {
      video: found.get(
          video, os.path.join(os.path.abspath(data_dir), f'{video}.mp4')
      )
      for video in annotations
  }
  opened, notes = videos.open_all(
      list(paths.values()),
      needs=sampling.span,
      max_bad_share=max_bad_share,
      source=SOURCE,
  )
  clips, counts = [], []
  for name, path in paths.items():
    if path not in opened:
      continue
    video = opened[path]
    where = f'{list_file}: {name}'
    tracks = _read_tracks(annotations[name], where, video.num_frames)
    claimed = annotations[name]['metadata']['num_frames']
    if claimed != video.num_frames:
      notes.append(f'{path} has {video.num_frames} frames, not {claimed}')
    for cut in sampling.list_starts(video):
      clip = TrackedClip(
          name, (path, list_file), video, tracks, sampling, cut, num_points
      )
      if ground_truth := clip.follow(cut):
        clips.append(clip)
        counts.append(len(ground_truth['tracks']))
  if not clips:
    raise ValueError(f'{list_file}: no clip has a point in its first frame')
  if num_points is None:
    clips = [dataclasses.replace(c, num_points=max(counts)) for c in clips]
  return clips, notes


def _read_tracks(annotation, where: str, num_frames: int) -> Tracks:
  """Returns the points of a video, whichever way their numbers are nested.

  Args:
    annotation: what the annotations hold for the video.
    where: file and video, for errors.
    num_frames: number of frames that the video has.

  Raises:
    ValueError: the annotation has another form, or a frame that the video does
      not have.
  """
  try:
    # Only checks that it is there: the caller compares it with the video.
    annotation['metadata']['num_frames']
    listed = [
        (track['frame_ids'], np.array(track['points'], np.float32))
        for track in annotation['point_tracking']
    ]
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
        f'{where}: expected metadata with num_frames, and point_tracking of'
        f' tracks with frame_ids and points, got {error!r}'
    ) from error
  is_coordinate_first = _is_coordinate_first(listed)
  points = np.zeros((len(listed), num_frames, 2), np.float32)
  visible = np.zeros((len(listed), num_frames), bool)
  for number, (frames, places) in enumerate(listed):
    if is_coordinate_first and len(places) == 2:
      places = places.T
    if places.shape != (len(frames), 2):
      raise ValueError(
          f'{where}, track {number}: {len(frames)} frame_ids and points of the'
          f' shape {places.shape}'
      )
    if len(frames) and not 0 <= min(frames) <= max(frames) < num_frames:
      raise ValueError(
          f'{where}, track {number} is annotated in frame {max(frames)}, and'
          f' the video has {num_frames} frames'
      )
    points[number, frames] = places[:, ::-1]
    visible[number, frames] = True
  return Tracks(points, visible)


def _is_coordinate_first(
    listed: Sequence[tuple[Sequence[int], np.ndarray]],
) -> bool:
  """Returns whether points are nested as [[y, ...], [x, ...]].

  Args:
    listed: frames and points of each track. A track of two frames has the same
      shape either way and tells nothing; if no other track does, the answer is
      yes.
  """
  return all(
      places.shape == (2, len(frames))
      for frames, places in listed
      if len(frames) != 2
  )
