"""Perception Test: points followed through videos.

  **/point_tracking_SPLIT.json   {video: {metadata, point_tracking: [{frame_ids,
                                 points, ...}]}}
  **/VIDEO.mp4

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
    'The Perception Test is had from'
    ' https://github.com/google-deepmind/perception_test; see'
    ' docs/datasets/perception_test.md'
)


@dataclasses.dataclass(frozen=True)
class Tracks:
  """The points of a video.

  Attributes:
    points: float32 [P, F, 2], (x, y) as shares of width and height; 0 where
      there is none.
    visible: bool [P, F].
  """

  points: np.ndarray
  visible: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrackedClip:
  """A clip and the points seen in its first frame, not read yet.

  Attributes:
    video_name: of the video that it is cut from.
    files: paths of the video and of the annotations.
    video: itself.
    tracks: its points in all its frames.
    sampling: how it is cut.
    cut: the clip.
    num_points: P. Of more points, those of the annotations' beginning; in
      training a random choice.
  """

  video_name: str
  files: tuple[str, ...]
  video: videos.Video
  tracks: Tracks
  sampling: sampling_lib.Sampling
  cut: sampling_lib.Cut
  num_points: int

  @property
  def name(self) -> str:
    return f'{self.video_name}@{self.cut.numbers[0]}'

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """The example: frames uint8 [T, height, width, 3], tracks float32 [P, T, 2]
    in pixels of these, 0 where there is none, visible bool [P, T], is_valid
    bool [P].

    What is outside the view is not visible.

    Args:
      rng: draws another cut of the video; None for the clip's own.

    Raises:
      BrokenVideo: the file has changed since, or cannot be read any more.
    """
    ask = lambda cut: follow(self.tracks, self.video, cut)
    if rng is None:
      cut, truths = self.cut, ask(self.cut)
    else:
      cut, truths = self.sampling.draw_asking(rng, self.video, self.cut, ask)
    chosen = np.arange(len(truths['tracks']))
    if rng is not None:
      rng.shuffle(chosen)
    chosen = chosen[: self.num_points]
    padding = self.num_points - len(chosen)
    truths = {
        key: np.pad(value[chosen], [(0, padding)] + [(0, 0)] * (value.ndim - 1))
        for key, value in truths.items()
    }
    is_valid = np.arange(self.num_points) < len(chosen)
    return {'frames': cut.read(self.video), 'is_valid': is_valid} | truths


def follow(
    tracks: Tracks, video: sampling_lib.Video, cut: sampling_lib.Cut
) -> dict[str, np.ndarray] | None:
  """The points that are seen in the first frame of a cut; None without any.

  Returns:
    'tracks': float32 [n, T, 2], pixels of the cut; 'visible': bool [n, T].
  """
  points = tracks.points[:, cut.numbers] * (video.width, video.height)
  annotated = tracks.visible[:, cut.numbers]
  moved = cut.view.move_points(points)
  visible = annotated & cut.view.is_inside(moved)
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
  """Lists the clips of a split, whose videos are scanned but not kept.

  Clips without a point in their first frame are left out.

  Args:
    data_dir: folder with the annotations and videos of the split, wherever in
      it they are.
    split: 'train', 'valid' or 'test'.
    sampling: num_clips clips of each video that is long enough.
    max_bad_share: see `videos.open_all`.
    num_points: P of the examples; None for as many as the most that a clip has.

  Returns:
    The clips, and notes on what is left out or odd.

  Raises:
    FileNotFoundError: names the file or folder that is missing.
    ValueError: annotations of another form, of frames that the video does not
      have, too many bad videos, several crops, or no clip with a point.
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
  clips = []
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
      if follow(tracks, video, cut):
        clips.append(
            TrackedClip(
                name, (path, list_file), video, tracks, sampling, cut, 0
            )
        )
  return _set_num_points(clips, num_points, list_file), notes


def _set_num_points(clips, num_points, list_file):
  if not clips:
    raise ValueError(f'{list_file}: no clip has a point in its first frame')
  if num_points is None:
    num_points = max(
        len(follow(clip.tracks, clip.video, clip.cut)['tracks'])
        for clip in clips
    )
  return [dataclasses.replace(clip, num_points=num_points) for clip in clips]


def _read_tracks(annotation, where: str, num_frames: int) -> Tracks:
  """The points of a video, whichever way the numbers are nested."""
  try:
    annotation['metadata']['num_frames']  # Looked at by the caller.
    listed = [
        (track['frame_ids'], np.array(track['points'], np.float32))
        for track in annotation['point_tracking']
    ]
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
        f'{where}: expected metadata with num_frames, and point_tracking of'
        f' tracks with frame_ids and points, got {error!r}'
    ) from error
  is_nested_first = _is_coordinate_first(listed)
  points = np.zeros((len(listed), num_frames, 2), np.float32)
  visible = np.zeros((len(listed), num_frames), bool)
  for number, (frames, places) in enumerate(listed):
    if is_nested_first and len(places) == 2:
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
  """Whether points are [[y, ...], [x, ...]]; if nothing tells, they are."""
  return all(
      places.shape == (2, len(frames))
      for frames, places in listed
      if len(frames) != 2
  )
