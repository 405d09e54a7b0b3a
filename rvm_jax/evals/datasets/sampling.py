"""Chooses which frames of a video, and which part of them, make an example.

An evaluation takes fixed cuts: clips spread evenly over the video (a single
clip is its middle), and crops spread evenly over the frame. Training may sample
random cuts. `Crop` also converts ground truth from pixels of the whole frames
to pixels of the crop.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple, Protocol

import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling

# Number of random cuts that `Sampling.sample_with` tries before the fixed one.
_MAX_TRIES = 10


class SourceVideo(Protocol):
  """A video that examples are cut from.

  Attributes:
    num_frames: number of frames.
    frame_rate: frames per second.
    height: height of the frames in pixels.
    width: width of the frames in pixels.
  """

  num_frames: int
  frame_rate: float
  height: int
  width: int

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Reads frames uint8 [n, height, width, 3], given their numbers int [n]."""


@dataclasses.dataclass(frozen=True)
class Crop:
  """A part of the frames, which is cut out and resized.

  Attributes:
    box: the part, (x0, y0, x1, y1) in whole pixels of the frames.
    height: height in pixels that the part is resized to.
    width: width in pixels that the part is resized to.
    is_flipped: whether the resized part is mirrored left to right.
  """

  box: tuple[int, int, int, int]
  height: int
  width: int
  is_flipped: bool = False

  def apply(self, frames: np.ndarray) -> np.ndarray:
    """Crops frames uint8 [T, H, W, 3] to uint8 [T, height, width, 3]."""
    return crops.crop(
        frames, self.box, self.height, self.width, self.is_flipped
    )

  def move_points(self, points: np.ndarray) -> np.ndarray:
    """Converts points from pixels of the frames to pixels of the crop.

    Args:
      points: float [..., 2], (x, y) in pixels of the frames.

    Returns:
      float32 [..., 2], (x, y) in pixels of the crop. They may lie outside it.
    """
    x0, y0, x1, y1 = self.box
    scale = self.width / (x1 - x0), self.height / (y1 - y0)
    moved = (points - np.array([x0, y0])) * np.array(scale)
    if self.is_flipped:
      moved[..., 0] = self.width - moved[..., 0]
    return moved.astype(np.float32)

  def is_inside(self, points: np.ndarray) -> np.ndarray:
    """Returns whether points [..., 2] in pixels of the crop lie in it."""
    return np.all((points >= 0) & (points < (self.width, self.height)), -1)

  def move_boxes(self, boxes: np.ndarray) -> np.ndarray:
    """Converts boxes from pixels of the frames to pixels of the crop.

    Args:
      boxes: float [..., 4], (x0, y0, x1, y1) in pixels of the frames.

    Returns:
      float32 [..., 4] in pixels of the crop, clipped at its edges. NaN stays
      NaN, and boxes outside the crop become NaN.
    """
    corners = boxes.reshape(*boxes.shape[:-1], 2, 2)
    # A flip swaps the left and the right corner, and sorting swaps them back.
    corners = np.sort(self.move_points(corners), axis=-2)
    corners = np.clip(corners, 0, np.float32([self.width, self.height]))
    has_area = (corners[..., 1, :] > corners[..., 0, :]).all(-1)
    moved = corners.reshape(boxes.shape)
    return np.where(has_area[..., None], moved, np.float32(np.nan))

  def pick_nearest(self, maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crops maps, which may have another resolution, by the nearest pixels.

    Args:
      maps: maps of rows x columns pixels that show what the frames show,
        [T, rows, columns].
      size: height and width of the frames in pixels.

    Returns:
      [T, height, width], with the dtype of `maps`.
    """
    x0, y0, x1, y1 = self.box
    # The centres of the crop's pixels, in pixels of the maps.
    rows, columns = maps.shape[1:]
    y = (y0 + _spread_centres(self.height) * (y1 - y0)) * rows / size[0]
    x = (x0 + _spread_centres(self.width) * (x1 - x0)) * columns / size[1]
    picked = maps[:, y.astype(int)[:, None], x.astype(int)]
    return picked[..., ::-1] if self.is_flipped else picked


class Cut(NamedTuple):
  """The frames of an example, and the part of them that the encoder gets.

  Attributes:
    numbers: numbers of the frames in the video, int64 [T].
    crop: the part of these frames, and the size that it is resized to.
  """

  numbers: np.ndarray
  crop: Crop

  def read(self, video: SourceVideo) -> np.ndarray:
    """Returns the cropped frames of the video, uint8 [T, height, width, 3]."""
    return self.crop.apply(video.read(self.numbers))


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How examples are cut from a video.

  Attributes:
    num_frames: T, number of frames of an example.
    frame_rate: rate at which the video is sampled, by the nearest frame, in
      frames per second.
    height: height in pixels of the frames that the encoder gets.
    width: width in pixels of the frames that the encoder gets.
    squash: whether the encoder gets the whole frame, resized to another aspect
      ratio, and not the largest part that has the aspect ratio width / height.
    num_clips: number of fixed clips, spread over the video from start to end.
    num_crops: number of fixed crops of a clip, spread along the side of the
      frame of which a crop shows only a part.
    crop_area: least and greatest area of a random crop, as a share of the area
      of a fixed crop.
    crop_aspect: least and greatest width / height of a random crop, as a
      multiple of the width / height of a fixed crop.
    flip: probability that a random cut is mirrored left to right.
  """

  num_frames: int
  frame_rate: float
  height: int
  width: int
  squash: bool
  num_clips: int = 1
  num_crops: int = 1
  crop_area: tuple[float, float] = (1.0, 1.0)
  crop_aspect: tuple[float, float] = (1.0, 1.0)
  flip: float = 0.0

  def __post_init__(self):
    for name in ('num_frames', 'height', 'width', 'num_clips', 'num_crops'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name}={getattr(self, name)} must be at least 1')
    if not self.frame_rate > 0:
      raise ValueError(f'frame_rate={self.frame_rate} must be positive')

  @property
  def frame_size(self) -> dict[str, int]:
    """The fields `height` and `width`, by these names."""
    return {'height': self.height, 'width': self.width}

  def span(self, native_rate: float) -> int:
    """Returns how many of a video's own frames a clip spans, ends included.

    Args:
      native_rate: the video's own rate, frames per second.
    """
    return int(self._offsets(native_rate)[-1]) + 1

  def list_cuts(self, video: SourceVideo) -> list[Cut]:
    """Returns the num_clips * num_crops cuts of an evaluation.

    The crops of a clip follow one another. In a video that is shorter than a
    clip the last frame is repeated.
    """
    last = max(0, video.num_frames - self.span(video.frame_rate))
    height, width = self._largest(video)
    return [
        self._cut(video, start, x, y, height, width, False)
        for start in _spread(last, self.num_clips)
        for x, y in zip(
            _spread(video.width - width, self.num_crops),
            _spread(video.height - height, self.num_crops),
        )
    ]

  def list_starts(self, video: SourceVideo) -> list[Cut]:
    """Returns the cuts of an evaluation, of which no two start in one frame.

    There are fewer than num_clips if clips of a short video start in one frame.

    Raises:
      ValueError: num_crops is above 1.
    """
    if self.num_crops > 1:
      raise ValueError(
          f'num_crops={self.num_crops} must be 1 in this benchmark: only class'
          ' probabilities can be averaged over crops'
      )
    cuts = self.list_cuts(video)
    return list({int(cut.numbers[0]): cut for cut in cuts}.values())

  def sample(self, rng: np.random.Generator, video: SourceVideo) -> Cut:
    """Returns a random cut for training.

    The first frame is uniform over those after which a clip fits into the
    video, and the crop is sampled by `crops.sample_box`.
    """
    last = max(0, video.num_frames - self.span(video.frame_rate))
    start = int(rng.integers(last + 1))
    # Settings are relative to a fixed crop, arguments of `sample_box` are not.
    height, width = self._largest(video)
    share = height * width / (video.height * video.width)
    x0, y0, x1, y1 = crops.sample_box(
        rng,
        video.height,
        video.width,
        tuple(share * area for area in self.crop_area),
        tuple(width / height * aspect for aspect in self.crop_aspect),
    )
    is_flipped = bool(rng.random() < self.flip)
    return self._cut(video, start, x0, y0, y1 - y0, x1 - x0, is_flipped)

  def sample_with(
      self,
      rng: np.random.Generator | None,
      video: SourceVideo,
      fixed: Cut,
      find: Callable[[Cut], dict[str, np.ndarray] | None],
  ) -> tuple[Cut, dict[str, np.ndarray]]:
    """Returns a random cut that has ground truth, and its ground truth.

    Args:
      rng: random generator; None returns `fixed`.
      video: the video that is cut.
      fixed: cut that is returned if several random cuts have no ground truth.
      find: function that returns the ground truth of a cut, or None if the cut
        has none. It must not return None for `fixed`.
    """
    for _ in range(_MAX_TRIES if rng else 0):
      cut = self.sample(rng, video)
      if ground_truth := find(cut):
        return cut, ground_truth
    return fixed, find(fixed)

  def _offsets(self, native_rate: float) -> np.ndarray:
    """Returns the frames of a clip, counted from its first one: int64 [T]."""
    spacing = frame_sampling.Spacing(
        self.num_frames, 1, 1, 1, 1, frame_rate=self.frame_rate
    )
    return spacing.offsets(np.arange(self.num_frames), native_rate)

  def _largest(self, video: SourceVideo) -> tuple[int, int]:
    """Returns the height and width of a fixed crop in pixels of the frame."""
    if self.squash:
      return video.height, video.width
    scale = min(video.height / self.height, video.width / self.width)
    return round(scale * self.height), round(scale * self.width)

  def _cut(self, video, start, x, y, height, width, is_flipped):
    """Returns the cut of a first frame and of a box with a corner at (x, y)."""
    numbers = start + self._offsets(video.frame_rate)
    box = x, y, x + width, y + height
    return Cut(
        np.minimum(numbers, video.num_frames - 1),
        Crop(box, self.height, self.width, is_flipped),
    )


def _spread(last: int, count: int) -> list[int]:
  """Returns whole numbers spread over 0..last, for a count of 1 the middle."""
  if count == 1:
    return [last // 2]
  return np.linspace(0, last, count).round().astype(int).tolist()


def _spread_centres(count: int) -> np.ndarray:
  """Returns the centres of `count` equal parts of [0, 1]: float64 [count]."""
  return (np.arange(count) + 0.5) / count
