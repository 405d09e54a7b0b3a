"""The contract between the pipeline and its sources of video.

A source is a sequence of records. A record is a part of one clip, from which
samples are cut; a clip is a video file or a folder of pictures, a span of one,
or a generated scene.
"""

from collections.abc import Callable
import dataclasses
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Record:
  """An entry of a source: a clip, and where in it samples begin.

  Attributes:
    clip: int64 [2], number of the clip in its source and first frame of the
      window, as `Source.describe` takes them.
    num_frames: number of frames of the clip.
    window: (start, stop), the frames of the clip at which samples of this
      record begin; `stop` is excluded.
    frame_rate: frames per second of the clip.
    read: function that takes ascending frame numbers in [0, num_frames) and
      returns these frames of the clip, uint8 [n, H, W, 3], RGB. It raises
      `reader.BrokenVideo` if a frame cannot be read.
  """

  clip: np.ndarray
  num_frames: int
  window: tuple[int, int]
  frame_rate: float
  read: Callable[[np.ndarray], np.ndarray]


class Source(Protocol):
  """A data set of clips, as the pipeline sees it."""

  def __len__(self) -> int:
    """Returns the number of records."""

  def __getitem__(self, number: int) -> Record:
    """Returns a record; raises IndexError unless 0 <= number < len(self)."""

  def describe(self, clip: np.ndarray) -> str:
    """Returns a name for people of a clip and frame, int64 [2]."""

  def fingerprint(self) -> str:
    """Returns a short text that changes with the clips and their order."""
