"""Draws docs/method.png, which shows the method in one picture.

Run it with `python docs/method.py`. The frames are those of a generated scene.
"""

import pathlib

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.ops import patches

# The scene that is shown, and the frames of it.
SCENE = 12
SOURCE, TARGET = (4, 8, 12, 16), 32
# With 12 of 256 patches visible, 95 % are hidden.
FRAME_SIZE, PATCH, NUM_VISIBLE = 256, 16, 12

# Width and height of the picture in pixels. It is drawn SCALE times as large
# and scaled down at the end, because Pillow draws lines with hard edges.
SIZE = 1600, 880
SCALE = 2

PAPER, INK, GREY, FAINT = '#fcfcfa', '#262626', '#6e6e6e', '#d2d2cc'
# (edge, fill) in colours of Okabe and Ito, which colour-blind people can tell
# apart.
BLUE, ORANGE, GREEN = (
    ('#0072b2', '#dcecf6'),
    ('#c78600', '#fbeecd'),
    ('#009e73', '#d8f0e8'),
)

# The side of a frame, and the x coordinates of the centres of the columns: one
# for each source frame, and one for the target frame.
SIDE = 176
COLUMNS = (200, 410, 620, 830)
FUTURE = 1300
# The y coordinates of the tops of the rows.
FRAMES, VITS, CORES, STATES, PIXELS = 62, 300, 426, 572, 676


class Canvas:
  """A picture under construction.

  All its methods take positions and sizes in pixels of the final picture, and
  colours as '#rrggbb'.
  """

  def __init__(self):
    size = [SCALE * x for x in SIZE]
    self.image = Image.new('RGB', size, PAPER)
    self.draw = ImageDraw.Draw(self.image)

  def box(self, center, top, width, height, colors, radius=12, line=3):
    """Draws a rectangle with round corners.

    Args:
      center: x coordinate of the centre.
      top: y coordinate of the top edge.
      width: width of the rectangle.
      height: height of the rectangle.
      colors: colours of the edge and of the inside.
      radius: radius of the corners.
      line: width of the edge.
    """
    edge, fill = colors
    left = center - width / 2
    self.draw.rounded_rectangle(
        _scaled((left, top, left + width, top + height)),
        SCALE * radius,
        fill,
        edge,
        SCALE * line,
    )

  def text(self, x, y, text, size=27, color=INK, anchor='mm'):
    """Writes a text at (x, y).

    Args:
      x: x coordinate of the anchor.
      y: y coordinate of the anchor.
      text: text to write; what follows an underscore is written as a subscript.
      size: size of the font.
      color: colour of the text.
      anchor: where in the text the anchor lies, as Pillow's letters: 'mm' for
        the middle, 'lm' for the middle of the left edge. A text with a
        subscript is always centred.
    """
    base, _, sub = text.partition('_')
    font = ImageFont.load_default(SCALE * size)
    x, y = _scaled((x, y))
    if not sub:
      align = 'left' if anchor == 'lm' else 'center'
      self.draw.text((x, y), base, color, font, anchor=anchor, align=align)
      return
    small = ImageFont.load_default(SCALE * size * 0.7)
    x -= (font.getlength(base) + small.getlength(sub)) / 2
    self.draw.text((x, y), base, color, font, anchor='lm')
    x += font.getlength(base)
    y += SCALE * size * 0.28
    self.draw.text((x, y), sub, color, small, anchor='lm')

  def arrow(self, *points, color=GREY, line=4):
    """Draws a line through the (x, y) points with an arrow head at the last."""
    (x0, y0), (x1, y1) = points[-2:]
    length = np.hypot(x1 - x0, y1 - y0)
    along = np.array([x1 - x0, y1 - y0]) / length
    across = np.array([-along[1], along[0]])
    tip, neck = np.array([x1, y1]), np.array([x1, y1]) - 15 * along
    self.line(*points[:-1], neck, color=color, line=line)
    head = tip, neck + 9 * across, neck - 9 * across
    self.draw.polygon([tuple(SCALE * p) for p in head], color)

  def line(self, *points, color=GREY, line=4):
    """Draws a line of width `line` through the (x, y) points."""
    flat = [SCALE * float(x) for point in points for x in point]
    self.draw.line(flat, color, SCALE * line, joint='curve')

  def picture(self, center, top, frame):
    """Pastes a frame [H, W, 3] in uint8, resized to a side of SIDE."""
    side = SCALE * SIDE
    picture = Image.fromarray(frame).resize((side, side), Image.LANCZOS)
    place = _scaled((center - SIDE / 2, top))
    self.image.paste(picture, [int(x) for x in place])

  def save(self, path):
    """Writes the picture to `path` as a PNG file."""
    self.image.resize(SIZE, Image.LANCZOS).save(path, optimize=True)


def _scaled(numbers):
  return [SCALE * x for x in numbers]


def hide(frame):
  """Returns the frame with all but NUM_VISIBLE random patches in light grey."""
  cut = patches.patchify(frame, PATCH)
  rng = np.random.default_rng(3)
  visible = rng.choice(len(cut), NUM_VISIBLE, replace=False)
  hidden = np.full_like(cut, 0xE4)
  hidden[visible] = cut[visible]
  return patches.unpatchify(hidden, FRAME_SIZE, FRAME_SIZE, PATCH)


def draw_state(canvas, center, top):
  """Draws a state as a grid of tokens and returns the side of the grid."""
  cell, gap, count = 11, 4, 5
  side = count * cell + (count - 1) * gap
  for row in range(count):
    for column in range(count):
      x = center - side / 2 + column * (cell + gap) + cell / 2
      y = top + row * (cell + gap)
      canvas.box(x, y, cell, cell, (ORANGE[0], ORANGE[0]), radius=2, line=1)
  return side


def draw_source(canvas, frames):
  """Draws the columns of the source frames: frame, ViT, core, state."""
  canvas.text(np.mean(COLUMNS), 32, 'source frames')
  canvas.text(COLUMNS[0] - 142, CORES + 26, 's_0', 30)
  canvas.text(COLUMNS[0] - 142, CORES + 58, '= 0', 24)
  for number, (x, frame) in enumerate(zip(COLUMNS, frames), 1):
    canvas.picture(x, FRAMES, frame)
    canvas.arrow((x, FRAMES + SIDE + 4), (x, VITS - 4))
    canvas.box(x, VITS, 130, 66, BLUE)
    canvas.text(x, VITS + 33, 'ViT', 30)
    canvas.arrow((x, VITS + 70), (x, CORES - 4))
    start = x - 210 + 65 if number > 1 else x - 112
    canvas.arrow((start + 4, CORES + 41), (x - 69, CORES + 41), color=ORANGE[0])
    canvas.box(x, CORES, 130, 82, ORANGE)
    canvas.text(x, CORES + 41, 'core', 30)
    canvas.arrow((x, CORES + 86), (x, STATES - 4), color=ORANGE[0])
    side = draw_state(canvas, x, STATES)
    canvas.text(x + 62, STATES + side / 2, f's_{number}', 30)
  x = COLUMNS[0] - 65
  note = (
      'core: a transformer inside the gates of a GRU,\n'
      'folds frame after frame into the state s'
  )
  canvas.text(x, 738, note, 25, GREY, 'lm')
  note = (
      'after training: ViT and core alone are kept,\n'
      'the states are the features of the video'
  )
  canvas.text(x, 812, note, 25, GREY, 'lm')


def draw_target(canvas, frame):
  """Draws the target's column: masked frame, ViT, decoder, pixels, loss."""
  x = FUTURE
  canvas.text(x, 32, 'a future frame, 95 % hidden')
  canvas.picture(x, FRAMES, hide(frame))
  # The gap from the last source frame to the target frame.
  y = FRAMES + SIDE / 2
  canvas.arrow((COLUMNS[-1] + SIDE / 2 + 14, y), (x - SIDE / 2 - 14, y))
  middle = (COLUMNS[-1] + x) / 2
  canvas.text(middle, y - 26, 'gap')
  canvas.text(middle, y + 28, '4 to 48 frames', 24, GREY)
  # The visible patches go through the ViT of the source frames.
  canvas.arrow((x, FRAMES + SIDE + 4), (x, VITS - 4))
  y = (FRAMES + SIDE + VITS) / 2
  canvas.text(x + 18, y, 'visible patches', 24, GREY, 'lm')
  canvas.box(x, VITS, 130, 66, BLUE)
  canvas.text(x, VITS + 33, 'ViT', 30)
  y = VITS + 33
  canvas.line((COLUMNS[-1] + 72, y), (middle - 84, y), color=FAINT, line=3)
  canvas.line((middle + 84, y), (x - 72, y), color=FAINT, line=3)
  canvas.text(middle, y, 'same weights', 24, GREY)
  # Their tokens are the decoder's queries.
  canvas.arrow((x, VITS + 70), (x, STATES - 40 - 4))
  canvas.text(
      x + 18,
      448,
      'queries: their tokens,\nmask tokens, time index',
      24,
      GREY,
      'lm',
  )
  canvas.box(x, STATES - 40, 400, 92, GREEN)
  canvas.text(x, STATES + 6, 'cross-attention decoder', 30)
  # The states after all source frames are its keys and values.
  y = STATES + 71 + 16
  for column in COLUMNS:
    canvas.line((column, y - 8), (column, y + 12), color=ORANGE[0])
  turn = x - 260
  canvas.arrow(
      (COLUMNS[0] - 2, y + 12),
      (turn, y + 12),
      (turn, STATES + 6),
      (x - 204, STATES + 6),
      color=ORANGE[0],
  )
  canvas.text(turn - 84, y + 34, 'keys, values', 24, GREY)
  # The predicted pixels are compared with those of the target.
  left, right = x - 145, x + 145
  canvas.arrow((left, STATES + 56), (left, PIXELS - 4), color=GREEN[0])
  canvas.box(left, PIXELS, SIDE, SIDE, (GREEN[0], '#ffffff'), radius=0)
  canvas.text(left, PIXELS + SIDE / 2, 'predicted\npixels')
  canvas.picture(right, PIXELS, frame)
  canvas.text(right, PIXELS - 22, 'target pixels', 24, GREY)
  y = PIXELS + SIDE / 2
  for end in (left + SIDE / 2 + 5, right - SIDE / 2 - 5):
    canvas.arrow((x, y), (end, y))
  canvas.text(x, y - 28, 'L2 loss')


def main():
  """Renders the frames and draws the picture beside this file."""
  source = source_lib.Scenes(100, FRAME_SIZE, FRAME_SIZE, split='held_out')
  *frames, target = source[SCENE].read([*SOURCE, TARGET])
  canvas = Canvas()
  draw_source(canvas, frames)
  draw_target(canvas, target)
  canvas.save(pathlib.Path(__file__).with_suffix('.png'))


if __name__ == '__main__':
  main()
