"""An encoder whose features say which patches are red."""

from typing import NamedTuple

import numpy as np

# Patch, width and grid are those of the tiny model, so that the programs that
# were compiled for it are used here too.
PATCH, _WIDTH, GRID = 16, 48, (4, 6)


class _Model(NamedTuple):
  patch: int = PATCH
  content_first: bool = False


class Features(NamedTuple):
  patches: np.ndarray


class Encoder:
  """Takes the place of `streaming.Encoder`; its state counts the frames."""

  model = _Model()

  def init(self, batch, height, width):
    return 0

  def step(self, frame, state):
    # The corner of a patch stands for all of it.
    red = frame[:, ::PATCH, ::PATCH, 0] > 128  # [1, h, w]
    patches = np.zeros((*red.shape, _WIDTH), np.float32)
    patches[..., :3] = np.stack([red, ~red, red * 0.5], -1)
    return Features(patches), state + 1


def draw_square(row, column):
  """Returns a frame with a red square of 3 x 3 patches, black elsewhere.

  Args:
    row: first row of the square, in patches.
    column: first column of the square, in patches.
  """
  frame = np.zeros((GRID[0] * PATCH, GRID[1] * PATCH, 3), np.uint8)
  area = slice(row * PATCH, (row + 3) * PATCH), slice(
      column * PATCH, (column + 3) * PATCH
  )
  frame[area] = 200, 0, 0
  return frame
