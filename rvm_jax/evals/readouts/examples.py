"""Examples: what a head is fitted to and scored on, before they are read.

An example is a dict of arrays whose shapes are the same in a whole data set:
  frames: uint8 [T, H, W, 3], as the encoder sees them.
and the truths of its task, in pixels of those frames; queries are asked in
frame 0:
  label: int32 [], a class.
  tracks: float32 [P, T, 2], points (x, y); visible: bool [P, T]; is_valid:
    bool [P], False for padding.
  boxes: float32 [O, T, 4], (x0, y0, x1, y1), nan where there is none.
  depth: float32 [T, H, W], metres, 0 where it is not known.
  pose: float32 [12], from the first frame to the last: rotation [3, 3] row by
    row, then translation.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Record(Protocol):
  """An example that is not read yet; it can be pickled.

  Attributes:
    name: no other record of the data set has it.
    files: paths of what it is read from; none if it is generated.
  """

  name: str
  files: Sequence[str]

  def read(self, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """The example; the same each time without `rng`, augmented with one.

    Raises:
      ValueError: it is broken (such as `video.BrokenVideo`).
    """
