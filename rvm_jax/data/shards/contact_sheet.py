"""A picture of a packed set: the middle frames of some of its clips."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from PIL import ImageDraw

# Greatest numbers of columns and rows of the picture.
_COLUMNS, _ROWS = 8, 6
# Width and height in pixels of the cell in which a frame is shown.
_CELL = (160, 120)
# Height in pixels of the line of text below each cell.
_LINE = 14


def choose(num_clips: int) -> list[int]:
  """Returns the numbers of the clips to show, evenly spread over all."""
  num_shown = min(num_clips, _COLUMNS * _ROWS)
  return [(2 * i + 1) * num_clips // (2 * num_shown) for i in range(num_shown)]


def draw(frames: Sequence[np.ndarray], names: Sequence[str]) -> Image.Image:
  """Draws frames in rows, with a name below each.

  Args:
    frames: frames of any sizes, uint8 [H, W, 3], at least one.
    names: the text below each frame. If it is too long, only its end is shown.
  """
  width, height = _CELL
  columns = min(_COLUMNS, len(frames))
  rows = -(-len(frames) // columns)
  sheet = Image.new('RGB', (columns * width, rows * (height + _LINE)), 'white')
  pen = ImageDraw.Draw(sheet)
  for number, (frame, name) in enumerate(zip(frames, names)):
    row, column = divmod(number, columns)
    x, y = column * width, row * (height + _LINE)
    picture = Image.fromarray(frame)
    picture.thumbnail((width - 4, height - 2))
    sheet.paste(
        picture,
        (x + (width - picture.width) // 2, y + height - picture.height),
    )
    while pen.textlength(name) > width - 4:
      name = name[1:]
    pen.text((x + 2, y + height), name, 'black')
  return sheet
