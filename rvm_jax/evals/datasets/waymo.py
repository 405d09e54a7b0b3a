"""Waymo Open perception v2: camera videos, and boxes tracked through them.

The data set's folder holds

  SPLIT/camera_image/SEGMENT.parquet  images, JPEG
  SPLIT/camera_box/SEGMENT.parquet    boxes, each with the identity of an object

SPLIT is training or validation. Reading needs pyarrow:
pip install 'rvm_jax[waymo]'.
"""

from collections.abc import Sequence
import dataclasses
import os

import numpy as np

from rvm_jax.evals.datasets import files
from rvm_jax.evals.datasets import sampling as sampling_lib
from rvm_jax.evals.datasets import waymo_segments

SOURCE = (
    'The Waymo Open Dataset (perception, v2) is available from'
    ' https://waymo.com/open; see docs/datasets/waymo.md'
)


@dataclasses.dataclass(frozen=True)
class BoxedClip:
  """A clip and the boxes of its video, a `fitting.examples.ExampleRecord`.

  Attributes:
    name: 'SEGMENT/CAMERA@NUMBER', with the number of the clip's first frame.
    files: paths of the segment's file of images and of its file of boxes.
    video: the video that the clip is cut from.
    boxes: boxes of n objects in all F frames of the video, float32 [n, F, 4],
      (x0, y0, x1, y1) in pixels of the whole frames; NaN where an object has no
      box.
    sampling: how the clip is cut.
    cut: the clip's own cut.
    min_area: least area of a box, as a share of the crop's area. A smaller box
      does not count as one.
    min_presence: least share of the cut's frames in which an object must have a
      box.
    num_objects: O, number of objects of an example. If more objects count, the
      clip's own cut takes those that are largest in its first frame, and a
      random cut takes random ones. If there are fewer, the example is padded.
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
    """Reads the clip, or a random cut of its video.

    Args:
      rng: random generator for a random cut; None reads the clip's own cut.

    Returns:
      frames: uint8 [T, height, width, 3].
      boxes: float32 [O, T, 4], (x0, y0, x1, y1) in pixels of these frames,
        clipped at their edges; NaN where an object has no box, and for objects
        that are padding.

    Raises:
      ValueError: an image cannot be read.
    """
    cut, ground_truth = self.sampling.sample_with(
        rng, self.video, self.cut, self.follow
    )
    boxes = ground_truth['boxes']
    if rng is not None:
      rng.shuffle(boxes)
    boxes = boxes[: self.num_objects]
    padding = self.num_objects - len(boxes)
    boxes = np.pad(
        boxes, [(0, padding), (0, 0), (0, 0)], constant_values=np.nan
    )
    return {'frames': cut.read(self.video), 'boxes': boxes}

  def follow(self, cut: sampling_lib.Cut) -> dict[str, np.ndarray] | None:
    """Finds the objects of the video that can be tracked through a cut.

    These are the objects that have a box in the cut's first frame, from which a
    head takes its queries, and in enough of its frames.

    Args:
      cut: frames and crop of the video.

    Returns:
      'boxes', float32 [m, T, 4], in pixels of the crop, in descending order of
      the objects' area in the first frame. None if there is no such object.
    """
    crop = cut.crop
    boxes = crop.move_boxes(self.boxes[:, cut.numbers])  # [n, T, 4]
    # Boxes that are too small become NaN, as do those outside the crop.
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    is_large = area >= self.min_area * crop.height * crop.width
    boxes = np.where(is_large[..., None], boxes, np.float32(np.nan))
    # Only objects that have a box in the first frame can be queries.
    is_asked = is_large[:, 0] & (is_large.mean(-1) >= self.min_presence)
    if not is_asked.any():
      return None
    order = np.argsort(-area[is_asked, 0], kind='stable')
    return {'boxes': boxes[is_asked][order]}


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
  """Lists the clips of a split in which an object can be tracked.

  One image of each camera is read to know the size of its frames.

  Args:
    data_dir: folder that holds the splits.
    split: name of the split, 'training' or 'validation'.
    sampling: how the video of each camera of each segment is cut.
    cameras: numbers of the cameras: 1 front, 2 front left, 3 front right,
      4 side left, 5 side right.
    min_area: least area of a box, as a share of the crop's area.
    min_presence: least share of a cut's frames in which an object must have a
      box.
    num_objects: O, number of objects of an example; None for the largest number
      that any clip of the split has.

  Returns:
    The clips, and notes: sentences on the videos that are left out.

  Raises:
    ImportError: pyarrow is not installed.
    FileNotFoundError: a file or folder is missing; the message names it.
    ValueError: columns or values are not as expected, boxes have a time without
      an image, `sampling.num_crops` is above 1, or no clip has an object.
  """
  waymo_segments.import_parquet()
  image_folder, box_folder = (
      os.path.join(data_dir, split, name)
      for name in ('camera_image', 'camera_box')
  )
  image_files = files.list_files(image_folder, '.parquet', SOURCE)
  box_files = files.list_files(box_folder, '.parquet', SOURCE)
  files.check_pairs(image_files, box_files, SOURCE)
  clips, counts, notes = [], [], []
  for image_file, box_file in zip(image_files, box_files):
    segment = os.path.splitext(os.path.basename(image_file))[0]
    opened = waymo_segments.read(image_file, box_file, cameras)
    for camera, (video, boxes) in opened.items():
      if video.num_frames < sampling.span(video.frame_rate):
        notes.append(
            f'{segment}, camera {camera}: {video.num_frames} frames are too'
            ' few for a clip; the video is left out'
        )
        continue
      for cut in sampling.list_starts(video):
        clip = BoxedClip(
            f'{segment}/{camera}@{cut.numbers[0]}',
            (image_file, box_file),
            video,
            boxes,
            sampling,
            cut,
            min_area,
            min_presence,
            num_objects,
        )
        if ground_truth := clip.follow(cut):
          clips.append(clip)
          counts.append(len(ground_truth['boxes']))
  if not clips:
    raise ValueError(
        f'{image_folder}: no clip of the cameras {tuple(cameras)} has an object'
        f' with a box of at least min_area={min_area} in its first frame and in'
        f' a share of min_presence={min_presence} of its frames.'
        f' {"; ".join(notes[:3])}'
    )
  if num_objects is None:
    clips = [dataclasses.replace(c, num_objects=max(counts)) for c in clips]
  return clips, notes
