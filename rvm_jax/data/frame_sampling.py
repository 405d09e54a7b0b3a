"""Which frames of a clip make a sample: T source frames, K targets ahead."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Spacing:
  """How the frames of a sample lie to one another.

  All distances count frames at `frame_rate`.

  Attributes:
    num_source: T, source frames that follow each other.
    num_target: K, target frames, each with a gap of its own.
    stride: from one source frame to the next.
    min_gap: least distance of a target from the last source frame, 1 or more.
    max_gap: greatest such distance.
    frame_rate: frames per second at which videos are sampled, each time by
      the nearest frame; None for every video's own rate.
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
    """Distance of the last source frame from the first."""
    return (self.num_source - 1) * self.stride

  def offsets(
      self, steps: int | np.ndarray, native_rate: float | np.ndarray
  ) -> np.ndarray:
    """Turns distances at `frame_rate` into a video's own frames, int64."""
    native_rate = np.asarray(native_rate, np.float64)
    ratio = native_rate / (self.frame_rate or native_rate)
    return np.floor(steps * ratio + 0.5).astype(np.int64)

  def length(self, gap: int, native_rate: float) -> int:
    """Frames of a video from the first source frame to a target at `gap`."""
    return int(self.offsets(self.last_source + gap, native_rate)) + 1


def sample_frames(
    rng: np.random.Generator,
    spacing: Spacing,
    num_frames: int,
    native_rate: float,
    window: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
  """Draws one sample's frames.

  The first frame is uniform over those of the window from which the greatest
  gap still fits; if it fits from none, the sample begins as late as it can,
  yet with the longest gaps possible. The gaps are uniform and independent over
  what fits of [min_gap, max_gap]; if not even min_gap fits, all are the
  longest that does.

  Args:
    rng: source of randomness.
    spacing: of the frames wanted.
    num_frames: of the video.
    native_rate: of the video, frames per second.
    window: (start, stop), the part of the video the first frame comes from.

  Returns:
    numbers: int64 [T + K], frames of the video: sources in order, then
      targets, which may coincide and come in any order.
    deltas: int64 [K], distances from the first source frame at `frame_rate`.

  Raises:
    ValueError: the video has no room for the sources and a target at gap 1.
  """
  if num_frames < (needed := spacing.length(1, native_rate)):
    raise ValueError(f'too short: {num_frames} frames, needs {needed}')
  start, stop = window
  last = max(0, num_frames - spacing.length(spacing.max_gap, native_rate))
  start = min(start, last)
  first = int(rng.integers(start, max(start + 1, min(stop, last + 1))))
  room = spacing.offsets(
      spacing.last_source + np.arange(1, spacing.max_gap + 1), native_rate
  )
  longest = int(np.searchsorted(room, num_frames - first, side='left'))
  deltas = spacing.last_source + rng.integers(
      min(spacing.min_gap, longest),
      min(spacing.max_gap, longest),
      size=spacing.num_target,
      endpoint=True,
  )
  sources = np.arange(spacing.num_source) * spacing.stride
  steps = np.concatenate([sources, deltas])
  return first + spacing.offsets(steps, native_rate), deltas
