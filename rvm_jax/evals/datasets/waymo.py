"""Waymo Open perception v2: boxes in camera images, followed by identity.

  SPLIT/camera_image/SEGMENT.parquet  JPEGs
  SPLIT/camera_box/SEGMENT.parquet    boxes

SPLIT is training or validation. Needs pyarrow: pip install 'rvm_jax[waymo]'.
"""

from collections.abc import Sequence
import dataclasses
import os

import numpy as np

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import waymo_segments

SOURCE = (
    'The Waymo Open Dataset (perception, v2) is had from'
    ' https://waymo.com/open; see docs/datasets/waymo.md'
)


@dataclasses.dataclass(frozen=True)
class BoxedClip:
  """A clip and the objects of its first frame, not read yet.

  Attributes:
    name: segment, camera and first frame.
    files: paths of the images and of the boxes.
    video: that it is cut from.
    boxes: float32 [n, F, 4], (x0, y0, x1, y1) in pixels of the whole frames,
      nan where there is none.
    sampling: how it is cut.
    cut: the clip.
    min_area, min_presence: see `follow`.
    num_objects: O. Of more objects, the largest; in training a random choice.
  """

  name: str
  files: tuple[str, ...]
  video: waymo_segments.CameraVideo
  boxes: np.ndarray
  sampling: sampling_lib.Sampling
  cut: sampling_lib.Cut
  min_area: float
  min_presence: float
  num_objects: int

  def read(
      self, rng: np.random.Generator | None = None
  ) -> dict[str, np.ndarray]:
    """The example: frames uint8 [T, height, width, 3], boxes float32 [O, T, 4]
    in pixels of these, cut off at their edges, nan where there is none.

    Args:
      rng: draws another cut of the video; None for the clip's own.

    Raises:
      ValueError: an image that cannot be read.
    """
    ask = lambda cut: follow(self.boxes, cut, self.min_area, self.min_presence)
    if rng is None:
      cut, truths = self.cut, ask(self.cut)
    else:
      cut, truths = self.sampling.draw_asking(rng, self.video, self.cut, ask)
    boxes = truths['boxes']
    if rng is not None:
      rng.shuffle(boxes)
    boxes = boxes[: self.num_objects]
    padding = self.num_objects - len(boxes)
    boxes = np.pad(
        boxes, [(0, padding), (0, 0), (0, 0)], constant_values=np.nan
    )
    return {'frames': cut.read(self.video), 'boxes': boxes}


def follow(
    boxes: np.ndarray,
    cut: sampling_lib.Cut,
    min_area: float,
    min_presence: float,
) -> dict[str, np.ndarray] | None:
  """The objects that are in the first frame of a cut; None without any.

  Args:
    boxes: float32 [n, F, 4], pixels of the whole frames.
    cut: the clip.
    min_area: of a box, as a share of the view; a smaller one is none.
    min_presence: share of the frames in which an object must have a box.

  Returns:
    'boxes': float32 [m, T, 4], pixels of the cut, the largest of the first
    frame before the others.
  """
  view = cut.view
  moved = view.move_boxes(boxes[:, cut.numbers])
  area = (moved[..., 2:] - moved[..., :2]).prod(-1)
  is_large = area >= min_area * view.height * view.width
  moved = np.where(is_large[..., None], moved, np.float32(np.nan))
  is_asked = is_large[:, 0] & (is_large.mean(-1) >= min_presence)
  if not is_asked.any():
    return None
  order = np.argsort(-area[is_asked, 0], kind='stable')
  return {'boxes': moved[is_asked][order]}


def read(
    data_dir: str,
    split: str,
    sampling: sampling_lib.Sampling,
    *,
    cameras: Sequence[int],
    min_area: float,
    min_presence: float,
    num_objects: int | None = None,
) -> tuple[list[BoxedClip], list[str]]:
  """Lists the clips of a split; images are not read, but for their size.

  Args:
    data_dir: the folder that holds the splits.
    split: 'training' or 'validation'.
    sampling: num_clips clips of each camera of each segment.
    cameras: 1 front, 2 front left, 3 front right, 4 side left, 5 side right.
    min_area, min_presence: see `follow`.
    num_objects: O of the examples; None for the most that a clip has.

  Returns:
    The clips that have an object in their first frame, and notes on segments
    that are left out.

  Raises:
    ImportError: pyarrow is not installed.
    FileNotFoundError: names the file or folder that is missing.
    ValueError: columns or values other than expected, boxes at times without an
      image, several crops, or no clip with an object.
  """
  waymo_segments.import_parquet()
  image_folder, box_folder = (
      os.path.join(data_dir, split, name)
      for name in ('camera_image', 'camera_box')
  )
  image_files = files.list_files(image_folder, '.parquet', SOURCE)
  box_files = files.list_files(box_folder, '.parquet', SOURCE)
  files.check_pairs(image_files, box_files, SOURCE)
  found, notes = [], []
  for image_file, box_file in zip(image_files, box_files):
    segment = os.path.splitext(os.path.basename(image_file))[0]
    opened = waymo_segments.read(image_file, box_file, cameras)
    for camera, (video, boxes) in opened.items():
      if video.num_frames < sampling.span(video.frame_rate):
        notes.append(
            f'{segment}, camera {camera}: {video.num_frames} frames are too'
            ' few for a clip; it is left out'
        )
        continue
      found += [
          BoxedClip(
              f'{segment}/{camera}@{cut.numbers[0]}',
              (image_file, box_file),
              video,
              boxes,
              sampling,
              cut,
              min_area,
              min_presence,
              0,
          )
          for cut in sampling.list_starts(video)
      ]
  counted = []
  for clip in found:
    if truths := follow(clip.boxes, clip.cut, min_area, min_presence):
      counted.append((clip, len(truths['boxes'])))
  if not counted:
    raise ValueError(
        f'{image_folder}: no clip of the cameras {tuple(cameras)} has an object'
        f' in its first frame. {"; ".join(notes[:3])}'
    )
  if num_objects is None:
    num_objects = max(count for _, count in counted)
  return [
      dataclasses.replace(clip, num_objects=num_objects) for clip, _ in counted
  ], notes
