"""Perception Test: videos, and points that are tracked through them.

The data set's folder holds, at any depth,

  point_tracking_SPLIT.json   {video: {metadata, point_tracking: [{frame_ids,
                              points, ...}]}}
  VIDEO.mp4

Coordinates are shares of the frame's height and width, y before x. The points
of a track are nested as [[y, ...], [x, ...]] or as [[y, x], ...]. A point is
occluded in the frames that its track does not list.
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
    points: positions of n points in the F frames of the video, float32
      [n, F, 2], (x, y) as shares of width and height; 0 where a point is
      occluded.
    visible: whether a point is visible, bool [n, F].
  """

  points: np.ndarray
  visible: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrackedClip:
  """A clip and the points of its video, a `fitting.examples.ExampleRecord`.

  Attributes:
    video_name: name of the video in the annotations.
    files: paths of the video and of the annotations.
    video: the video that the clip is cut from.
    tracks: points in all frames of the video.
    sampling: how the clip is cut.
    cut: the clip's own cut.
    num_points: P, number of points of an example. If more points are visible in
      its first frame, the clip's own cut takes the first of them in the order
      of the annotations, and a random cut takes random ones. If there are
      fewer, the example is padded.
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
    """Name of the clip: 'VIDEO@NUMBER', with the number of its first frame."""
    return f'{self.video_name}@{self.cut.numbers[0]}'

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """Reads the clip, or a random cut of its video.

    Args:
      rng: random generator for a random cut; None reads the clip's own cut.

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
    """Finds the points of the video that can be tracked through a cut.

    These are the points that are visible in the first frame of the cut, from
    which a head takes its queries.

    Args:
      cut: frames and crop of the video.

    Returns:
      'tracks', float32 [m, T, 2], (x, y) in pixels of the crop, 0 where a point
      is occluded, and 'visible', bool [m, T]. None if there is no such point.
    """
    points = self.tracks.points[:, cut.numbers]  # [n, T, 2]
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
  """Lists the clips of a split in whose first frame a point is visible.

  Videos that are not in the index yet are decoded once.

  Args:
    data_dir: folder that holds the annotations and the videos, at any depth.
    split: name of the split, 'train', 'valid' or 'test'.
    sampling: how videos are cut.
    max_bad_share: largest share of the split's videos that may be bad: missing,
      broken or too short for a clip.
    num_points: P, number of points of an example; None for the largest number
      that any clip of the split has.

  Returns:
    The clips, and notes: sentences on the videos that are left out or that have
    another number of frames than the annotations say.

  Raises:
    FileNotFoundError: the annotations are missing.
    ValueError: annotations have another form or a frame that the video does not
      have, too many videos are bad, `sampling.num_crops` is above 1, or no clip
      has a point in its first frame.
  """
  name = f'point_tracking_{split}'
  list_file = files.find_by_stem(data_dir, ('.json',)).get(name)
  if list_file is None:
    raise FileNotFoundError(f'{data_dir} holds no {name}.json. {SOURCE}')
  annotations = files.read_json(list_file, SOURCE)
  if not isinstance(annotations, dict):
    raise ValueError(
        f'{list_file} must be {{video: annotations}}, got'
        f' {str(annotations)[:60]}'
    )
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
  """Returns the points of a video, from either nesting of their coordinates.

  Args:
    annotation: what the annotations hold for the video.
    where: file and video, for errors.
    num_frames: number of frames that the video has.

  Raises:
    ValueError: the annotation has another form, or a frame that the video does
      not have.
  """
  try:
    # This only checks that the number is there. The caller compares it with the
    # video.
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
  # Arrays over all frames of the video, in which each track fills its own.
  is_coordinate_first = _is_coordinate_first(listed)
  points = np.zeros((len(listed), num_frames, 2), np.float32)
  visible = np.zeros((len(listed), num_frames), bool)
  for number, (frames, places) in enumerate(listed):
    if is_coordinate_first and len(places) == 2:
      places = places.T
    if places.shape != (len(frames), 2):
      raise ValueError(
          f'{where}, track {number}: expected a point for each of the'
          f' {len(frames)} frame_ids, nested as in all other tracks, got points'
          f' of the shape {places.shape}'
      )
    if len(frames) and not 0 <= min(frames) <= max(frames) < num_frames:
      raise ValueError(
          f'{where}, track {number}: frame_ids must be in 0..{num_frames - 1},'
          f' the frames of the video, got {min(frames)} to {max(frames)}'
      )
    points[number, frames] = places[:, ::-1]
    visible[number, frames] = True
  return Tracks(points, visible)


def _is_coordinate_first(
    listed: Sequence[tuple[Sequence[int], np.ndarray]],
) -> bool:
  """Returns whether points are nested as [[y, ...], [x, ...]].

  All tracks of a video are nested in the same way. The points of a track of two
  frames have the same shape in both nestings; if there are no other tracks,
  the result is True.

  Args:
    listed: frames and points of each track.
  """
  return all(
      places.shape == (2, len(frames))
      for frames, places in listed
      if len(frames) != 2
  )
