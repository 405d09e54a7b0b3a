"""Samples which frames of a clip are the T source and K target frames."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Spacing:
  """The distances between the frames of a sample.

  All distances are numbers of frames at `frame_rate`.

  Attributes:
    num_source: number of source frames T.
    num_target: number of target frames K; each has a gap of its own.
    stride: distance from one source frame to the next, 1 or more.
    min_gap: least distance from the last source frame to a target, 1 or more.
    max_gap: greatest distance from the last source frame to a target.
    frame_rate: rate at which videos are sampled, by the nearest frame, in
      frames per second; None for each video's own rate.

  Raises:
    ValueError: a value is out of its range.
  """

  num_source: int
  num_target: int
  stride: int
  min_gap: int
  max_gap: int
  frame_rate: float | None = None

  def __post_init__(self):
    for name in ('num_source', 'num_target', 'stride', 'min_gap'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name}={getattr(self, name)} must be at least 1')
    if self.max_gap < self.min_gap:
      raise ValueError(
          f'max_gap={self.max_gap} must be at least min_gap={self.min_gap}'
      )
    if self.frame_rate is not None and not self.frame_rate > 0:
      raise ValueError(f'frame_rate={self.frame_rate} must be positive')

  @property
  def last_source(self) -> int:
    """Distance from the first source frame to the last."""
    return (self.num_source - 1) * self.stride

  @property
  def min_frames(self) -> int:
    """Least number of frames, at `frame_rate`, in which a gap of 1 fits."""
    return self.last_source + 2

  def offsets(
      self, steps: int | np.ndarray, native_rate: float | np.ndarray
  ) -> np.ndarray:
    """Converts distances at `frame_rate` to distances in a video's own frames.

    Args:
      steps: distances at `frame_rate`, any shape.
      native_rate: the video's own rate, frames per second, any shape that
        broadcasts with `steps`.

    Returns:
      The nearest whole numbers of the video's own frames, int64.
    """
    return to_native(steps, native_rate, self.frame_rate)

  def length(self, gap: int, native_rate: float) -> int:
    """Returns how many of a video's own frames a sample spans.

    Args:
      gap: greatest gap of the sample's targets, at `frame_rate`.
      native_rate: the video's own rate, frames per second.
    """
    return int(self.offsets(self.last_source + gap, native_rate)) + 1


def to_native(
    steps: int | np.ndarray,
    native_rate: float | np.ndarray,
    frame_rate: float | None,
) -> np.ndarray:
  """Converts distances in sampled frames to distances in a video's own frames.

  Args:
    steps: distances at `frame_rate`, any shape.
    native_rate: the video's own rate, frames per second, any shape that
      broadcasts with `steps`.
    frame_rate: rate at which the video is sampled, frames per second; None for
      its own.

  Returns:
    The nearest whole numbers of the video's own frames, int64.
  """
  native_rate = np.asarray(native_rate, np.float64)
  ratio = native_rate / (frame_rate or native_rate)
  return np.floor(steps * ratio + 0.5).astype(np.int64)


def sample_frames(
    rng: np.random.Generator,
    spacing: Spacing,
    num_frames: int,
    native_rate: float,
    window: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
  """Samples the numbers of the frames of one sample.

  The first source frame is uniform over those frames of the window after which
  the greatest gap still fits into the clip. If it fits after none of them, the
  first source frame is the last frame of the clip after which the greatest gap
  fits, or frame 0 if the clip is too short for it.

  The gaps of the targets are independent, and uniform over the part of
  [min_gap, max_gap] that fits. If not even min_gap fits, all targets have the
  longest gap that does.

  Args:
    rng: random generator.
    spacing: distances between the frames.
    num_frames: number of frames of the clip.
    native_rate: the clip's own rate, frames per second.
    window: (start, stop), the frames of the clip among which the first source
      frame is sampled; `stop` is excluded.

  Returns:
    numbers: numbers of the frames in the clip, int64 [T + K]: the sources in
      order, then the targets, which come in any order and may coincide.
    deltas: distances from the first source frame to the targets at
      `spacing.frame_rate`, int64 [K].

  Raises:
    ValueError: the clip has no room for the source frames and a target at gap
      1.
  """
  if num_frames < (needed := spacing.length(1, native_rate)):
    raise ValueError(f'too short: {num_frames} frames, needs {needed}')
  # The first source frame: at most `last`, so that the greatest gap fits.
  start, stop = window
  last = max(0, num_frames - spacing.length(spacing.max_gap, native_rate))
  start = min(start, last)
  first = int(rng.integers(start, max(start + 1, min(stop, last + 1))))
  # The longest gap that fits after it: the number of gaps 1, 2, ... whose
  # target, at first + ends[gap - 1], is still a frame of the clip.
  ends = spacing.offsets(
      spacing.last_source + np.arange(1, spacing.max_gap + 1), native_rate
  )
  longest = int(np.searchsorted(ends, num_frames - first, side='left'))
  deltas = spacing.last_source + rng.integers(
      min(spacing.min_gap, longest),
      min(spacing.max_gap, longest),
      size=spacing.num_target,
      endpoint=True,
  )
  sources = np.arange(spacing.num_source) * spacing.stride
  steps = np.concatenate([sources, deltas])
  return first + spacing.offsets(steps, native_rate), deltas
