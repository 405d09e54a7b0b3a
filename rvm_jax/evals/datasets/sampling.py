"""Which frames of a video, and which part of them, make an example.

An evaluation takes fixed cuts: clips spread evenly over the video (a single
clip is its middle), and crops spread evenly over the frame. Training samples
both. Ground truth in pixels of the whole frames follows the pixels through
`Crop`.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple, Protocol

import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling

# Cuts that are sampled before `Sampling.sample_with` takes a fixed one.
_MAX_TRIES = 10


class SourceVideo(Protocol):
  """A video that examples are cut from.

  Attributes:
    num_frames: number of frames.
    frame_rate: frames per second.
    height: height of the frames, pixels.
    width: width of the frames, pixels.
  """

  num_frames: int
  frame_rate: float
  height: int
  width: int

  def read(self, numbers: np.ndarray) -> np.ndarray:
    """Returns frames uint8 [n, height, width, 3], by their numbers int [n]."""


@dataclasses.dataclass(frozen=True)
class Crop:
  """A part of the frames, resized.

  Attributes:
    box: the part, (x0, y0, x1, y1) in whole pixels of the frames.
    height: height that the part is resized to, pixels.
    width: width that the part is resized to, pixels.
    is_flipped: whether left and right change places.
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
    """Returns where points of the frames lie in the crop.

    Args:
      points: float [..., 2], (x, y) in pixels of the frames.

    Returns:
      float32 [..., 2], (x, y) in pixels of the crop, maybe outside of it.
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
    """Returns where boxes of the frames lie in the crop.

    Args:
      boxes: float [..., 4], (x0, y0, x1, y1) in pixels of the frames.

    Returns:
      float32 [..., 4] in pixels of the crop, clipped at its edges. NaN stays
      NaN, and boxes outside the crop become NaN.
    """
    corners = boxes.reshape(*boxes.shape[:-1], 2, 2)
    # A flip swaps the left and the right corner: sorting puts them back.
    corners = np.sort(self.move_points(corners), axis=-2)
    corners = np.clip(corners, 0, np.float32([self.width, self.height]))
    is_left = (corners[..., 1, :] > corners[..., 0, :]).all(-1)
    moved = corners.reshape(boxes.shape)
    return np.where(is_left[..., None], moved, np.float32(np.nan))

  def pick_nearest(self, maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crops maps of another resolution by taking the nearest pixels.

    Args:
      maps: [T, h, w], which cover the same extent as the frames.
      size: height and width of the frames, pixels.

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
  """The frames of an example.

  Attributes:
    numbers: int64 [T], numbers of the frames.
    crop: the part of these frames that the encoder sees.
  """

  numbers: np.ndarray
  crop: Crop

  def read(self, video: SourceVideo) -> np.ndarray:
    """Returns frames as the encoder sees them, uint8 [T, height, width, 3]."""
    return self.crop.apply(video.read(self.numbers))


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How examples are cut from a video.

  Attributes:
    num_frames: T, frames of an example.
    frame_rate: frames per second at which the video is sampled, each time by
      the nearest frame.
    height: height of the frames that the encoder sees, pixels.
    width: width of the frames that the encoder sees, pixels.
    squash: whether the encoder sees the whole frame, its aspect ratio changed,
      rather than the largest part of the right aspect ratio.
    num_clips: number of clips of an evaluation, from the start of the video to
      its end.
    num_crops: number of crops of an evaluation, from one end of the frame's
      longer side to the other.
    crop_area: in training, least and greatest area of a crop, as a share of
      what an evaluation sees.
    crop_aspect: in training, least and greatest width / height of a crop, as a
      multiple of that of an evaluation.
    flip: in training, the probability that left and right change places.
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
    """Height and width of the frames that the encoder sees, by these names."""
    return {'height': self.height, 'width': self.width}

  def span(self, native_rate: float) -> int:
    """Returns how many frames a clip spans, from its first to its last.

    Args:
      native_rate: frames per second of the video.
    """
    return int(self._offsets(native_rate)[-1]) + 1

  def list_cuts(self, video: SourceVideo) -> list[Cut]:
    """Returns the num_clips * num_crops cuts of an evaluation.

    The crops of a clip come together. In a video that is shorter than a clip
    the last frame is repeated.
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
    """Returns the cuts of an evaluation that begin in different frames.

    A short video gives fewer than num_clips.

    Raises:
      ValueError: num_crops is above 1. Only class probabilities can be
        averaged over crops.
    """
    if self.num_crops > 1:
      raise ValueError(f'num_crops={self.num_crops} must be 1 but for classes')
    cuts = self.list_cuts(video)
    return list({int(cut.numbers[0]): cut for cut in cuts}.values())

  def sample(self, rng: np.random.Generator, video: SourceVideo) -> Cut:
    """Returns a random cut for training.

    The start is uniform over those from which a clip fits into the video, and
    the crop is sampled by `crops.draw_box`.
    """
    last = max(0, video.num_frames - self.span(video.frame_rate))
    start = int(rng.integers(last + 1))
    # Settings are relative to what an evaluation sees, `draw_box` to the frame.
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
      rng: source of randomness; with None the cut is `fixed`.
      video: the video that is cut.
      fixed: cut that is also returned if a few random ones all have no ground
        truth.
      find: function that returns the ground truth of a cut, or None if the cut
        has none. It must not return None for `fixed`.
    """
    for _ in range(_MAX_TRIES if rng else 0):
      cut = self.sample(rng, video)
      if ground_truth := find(cut):
        return cut, ground_truth
    return fixed, find(fixed)

  def _offsets(self, native_rate: float) -> np.ndarray:
    """Returns the frames of a clip, counted from its first: int64 [T]."""
    spacing = frame_sampling.Spacing(
        self.num_frames, 1, 1, 1, 1, frame_rate=self.frame_rate
    )
    return spacing.offsets(np.arange(self.num_frames), native_rate)

  def _largest(self, video: SourceVideo) -> tuple[int, int]:
    """Returns height and width of what an evaluation sees of a frame."""
    if self.squash:
      return video.height, video.width
    scale = min(video.height / self.height, video.width / self.width)
    return round(scale * self.height), round(scale * self.width)

  def _cut(self, video, start, x, y, height, width, is_flipped):
    numbers = start + self._offsets(video.frame_rate)
    box = x, y, x + width, y + height
    return Cut(
        np.minimum(numbers, video.num_frames - 1),
        Crop(box, self.height, self.width, is_flipped),
    )


def _spread(last: int, count: int) -> list[int]:
  """Returns whole numbers spread over 0..last; a single one is the middle."""
  if count == 1:
    return [last // 2]
  return np.linspace(0, last, count).round().astype(int).tolist()


def _spread_centres(count: int) -> np.ndarray:
  """Returns the centres of `count` equal parts of [0, 1]: float64 [count]."""
  return (np.arange(count) + 0.5) / count
