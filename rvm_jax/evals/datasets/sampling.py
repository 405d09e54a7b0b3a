"""Which frames of a video, and which part of them, make an example.

An evaluation looks at fixed cuts: clips spread evenly over the video (a single
one is its middle), crops spread evenly over the frame. Training draws both.
Truths in pixels of the whole frames follow the pixels through `View`.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple, Protocol

import numpy as np

from rvm_jax.data import crops
from rvm_jax.data import frame_sampling

_NUM_DRAWS = 10  # For a cut that asks anything, see `Sampling.draw_asking`.


class Video(Protocol):
  """What can be cut: `read` gives frames uint8 [n, height, width, 3]."""

  num_frames: int
  frame_rate: float
  height: int
  width: int

  def read(self, numbers: np.ndarray) -> np.ndarray:
    ...


@dataclasses.dataclass(frozen=True)
class View:
  """A part of the frames, resized.

  Attributes:
    box: the part, (x0, y0, x1, y1) in whole pixels of the frames.
    height, width: that it is resized to.
    is_flipped: left and right change places.
  """

  box: tuple[int, int, int, int]
  height: int
  width: int
  is_flipped: bool = False

  def crop(self, frames: np.ndarray) -> np.ndarray:
    """Frames uint8 [T, H, W, 3] to uint8 [T, height, width, 3]."""
    return crops.crop(
        frames, self.box, self.height, self.width, self.is_flipped
    )

  def move_points(self, points: np.ndarray) -> np.ndarray:
    """Points (x, y) [..., 2] in pixels of the frames to pixels of the view."""
    x0, y0, x1, y1 = self.box
    scale = self.width / (x1 - x0), self.height / (y1 - y0)
    moved = (points - np.array([x0, y0])) * np.array(scale)
    if self.is_flipped:
      moved[..., 0] = self.width - moved[..., 0]
    return moved.astype(np.float32)

  def is_inside(self, points: np.ndarray) -> np.ndarray:
    """Whether points [..., 2] of the view lie in it: bool [...]."""
    return np.all((points >= 0) & (points < (self.width, self.height)), -1)

  def move_boxes(self, boxes: np.ndarray) -> np.ndarray:
    """Boxes (x0, y0, x1, y1) [..., 4] alike, cut off at the view's edges.

    Nan stays nan, and a box of which nothing is left becomes it.
    """
    corners = boxes.reshape(*boxes.shape[:-1], 2, 2)
    corners = np.sort(self.move_points(corners), axis=-2)
    corners = np.clip(corners, 0, np.float32([self.width, self.height]))
    is_left = (corners[..., 1, :] > corners[..., 0, :]).all(-1)
    moved = corners.reshape(boxes.shape)
    return np.where(is_left[..., None], moved, np.float32(np.nan))

  def pick_nearest(self, maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps of another resolution, seen through the view: nearest pixels.

    Args:
      maps: [T, h, w], of the same extent as the frames.
      size: height and width of the frames.

    Returns:
      [T, height, width]
    """
    x0, y0, x1, y1 = self.box
    rows, columns = maps.shape[1:]
    places = lambda count: (np.arange(count) + 0.5) / count
    y = (y0 + places(self.height) * (y1 - y0)) * rows / size[0]
    x = (x0 + places(self.width) * (x1 - x0)) * columns / size[1]
    picked = maps[:, y.astype(int)[:, None], x.astype(int)]
    return picked[..., ::-1] if self.is_flipped else picked


class Cut(NamedTuple):
  """Frames of a video, int64 [T], and what is seen of them."""

  numbers: np.ndarray
  view: View

  def read(self, video: Video) -> np.ndarray:
    """Frames uint8 [T, height, width, 3] as the encoder sees them."""
    return self.view.crop(video.read(self.numbers))


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How a video is cut.

  Attributes:
    num_frames: T.
    frame_rate: frames per second, each time by the nearest frame.
    height, width: of what the encoder sees, in pixels.
    squash: see the whole frame, its aspect ignored, rather than the largest
      part of the right shape.
    num_clips: in an evaluation, from the start to the end of the video.
    num_crops: likewise, from one end of the frame's longer side to the other.
    crop_area: in training, least and greatest share of what an evaluation
      sees, by area.
    crop_aspect: likewise, of its width / height.
    flip: in training, probability that left and right change places.
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

  def span(self, native_rate: float) -> int:
    """Frames of a video from the first to the last of a clip."""
    return int(self._offsets(native_rate)[-1]) + 1

  def list_cuts(self, video: Video) -> list[Cut]:
    """The cuts of an evaluation, num_clips * num_crops, the crops of a clip
    together. What a short video lacks is its last frame again."""
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

  def list_starts(self, video: Video) -> list[Cut]:
    """The cuts of an evaluation that begin in different frames: fewer than
    num_clips, if the video is short.

    Raises:
      ValueError: more than one crop, as whose mean only classes are scored.
    """
    if self.num_crops > 1:
      raise ValueError(f'num_crops={self.num_crops} must be 1 but for classes')
    cuts = self.list_cuts(video)
    return list({int(cut.numbers[0]): cut for cut in cuts}.values())

  def draw(self, rng: np.random.Generator, video: Video) -> Cut:
    """A cut for training, uniform over the starts that fit."""
    last = max(0, video.num_frames - self.span(video.frame_rate))
    start = int(rng.integers(last + 1))
    height, width = self._largest(video)
    share = height * width / (video.height * video.width)
    x0, y0, x1, y1 = crops.draw_box(
        rng,
        video.height,
        video.width,
        tuple(share * area for area in self.crop_area),
        tuple(width / height * aspect for aspect in self.crop_aspect),
    )
    is_flipped = bool(rng.random() < self.flip)
    return self._cut(video, start, x0, y0, y1 - y0, x1 - x0, is_flipped)

  def draw_asking(
      self,
      rng: np.random.Generator,
      video: Video,
      fixed: Cut,
      ask: Callable[[Cut], dict[str, np.ndarray] | None],
  ) -> tuple[Cut, dict[str, np.ndarray]]:
    """A drawn cut in which there is something to ask, and its truths.

    Args:
      rng: source of randomness.
      video: to be cut.
      fixed: taken if none is found in a few draws.
      ask: the truths of a cut, None without any; not None for `fixed`.
    """
    for _ in range(_NUM_DRAWS):
      cut = self.draw(rng, video)
      if truths := ask(cut):
        return cut, truths
    return fixed, ask(fixed)

  def _offsets(self, native_rate: float) -> np.ndarray:
    spacing = frame_sampling.Spacing(
        self.num_frames, 1, 1, 1, 1, frame_rate=self.frame_rate
    )
    return spacing.offsets(np.arange(self.num_frames), native_rate)

  def _largest(self, video: Video) -> tuple[int, int]:
    """Height and width of what an evaluation sees of a frame."""
    if self.squash:
      return video.height, video.width
    scale = min(video.height / self.height, video.width / self.width)
    return round(scale * self.height), round(scale * self.width)

  def _cut(self, video, start, x, y, height, width, is_flipped):
    numbers = start + self._offsets(video.frame_rate)
    box = x, y, x + width, y + height
    return Cut(
        np.minimum(numbers, video.num_frames - 1),
        View(box, self.height, self.width, is_flipped),
    )


def _spread(last: int, count: int) -> list[int]:
  """Whole numbers from 0 to `last`; the middle, if there is but one."""
  if count == 1:
    return [last // 2]
  return np.linspace(0, last, count).round().astype(int).tolist()
