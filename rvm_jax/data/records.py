"""The contract between the pipeline and its sources of video.

A source is a sequence of records. A record is a part of one clip, from which
samples are cut. A clip is a video file, a folder of pictures, a span of either,
or a generated scene.
"""

from collections.abc import Callable
import dataclasses
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Record:
  """An entry of a source: a clip, and the frames at which samples begin.

  Attributes:
    clip: number of the clip in its source, and number of the window's first
      frame in the clip, int64 [2].
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
    """Returns a record.

    Args:
      number: number of the record, in [0, len(self)).

    Raises:
      IndexError: there is no such record.
    """

  def describe(self, clip: np.ndarray) -> str:
    """Returns a readable name of a frame of a clip.

    Args:
      clip: number of the clip in this source, and number of a frame in the
        clip, int64 [2].
    """

  def fingerprint(self) -> str:
    """Returns a short text that changes with the clips and their order."""
