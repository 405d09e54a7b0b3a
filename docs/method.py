"""Draws docs/method.png, the method in one picture: python docs/method.py"""

import pathlib

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from rvm_jax.data.scenes import source as source_lib
from rvm_jax.ops import patches

SCENE = 12
SOURCE, TARGET = (4, 8, 12, 16), 32  # Frame numbers.
FRAME_SIZE, PATCH, NUM_VISIBLE = 256, 16, 12  # 95 % of 256 patches hidden.

SIZE = 1600, 880
SCALE = 2  # Drawn larger and scaled down: Pillow's lines have hard edges.
PAPER, INK, GREY, FAINT = '#fcfcfa', '#262626', '#6e6e6e', '#d2d2cc'
# Of Okabe and Ito, told apart by colour-blind people: (edge, fill).
BLUE, ORANGE, GREEN = (
    ('#0072b2', '#dcecf6'),
    ('#c78600', '#fbeecd'),
    ('#009e73', '#d8f0e8'),
)

SIDE = 176  # Of a frame.
COLUMNS = (200, 410, 620, 830)  # Centres of the source frames.
FUTURE = 1300  # Centre of the target's column.
FRAMES, VITS, CORES, STATES, PIXELS = 62, 300, 426, 572, 676  # Tops.


class Canvas:
  """Boxes, arrows, texts and pictures in pixels of the final picture."""

  def __init__(self):
    size = [SCALE * x for x in SIZE]
    self.image = Image.new('RGB', size, PAPER)
    self.draw = ImageDraw.Draw(self.image)

  def box(self, center, top, width, height, colors, radius=12, line=3):
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
    """Words around (x, y); 's_1' has a subscript."""
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
    """A line through the points with a head at the last."""
    (x0, y0), (x1, y1) = points[-2:]
    length = np.hypot(x1 - x0, y1 - y0)
    along = np.array([x1 - x0, y1 - y0]) / length
    across = np.array([-along[1], along[0]])
    tip, neck = np.array([x1, y1]), np.array([x1, y1]) - 15 * along
    self.line(*points[:-1], neck, color=color, line=line)
    head = tip, neck + 9 * across, neck - 9 * across
    self.draw.polygon([tuple(SCALE * p) for p in head], color)

  def line(self, *points, color=GREY, line=4):
    flat = [SCALE * float(x) for point in points for x in point]
    self.draw.line(flat, color, SCALE * line, joint='curve')

  def picture(self, center, top, frame):
    side = SCALE * SIDE
    picture = Image.fromarray(frame).resize((side, side), Image.LANCZOS)
    place = _scaled((center - SIDE / 2, top))
    self.image.paste(picture, [int(x) for x in place])

  def save(self, path):
    self.image.resize(SIZE, Image.LANCZOS).save(path, optimize=True)


def _scaled(numbers):
  return [SCALE * x for x in numbers]


def hide(frame):
  """Leaves a few patches, drawn at random; the others are light grey."""
  cut = patches.patchify(frame, PATCH)
  rng = np.random.default_rng(3)
  shown = rng.choice(len(cut), NUM_VISIBLE, replace=False)
  hidden = np.full_like(cut, 0xE4)
  hidden[shown] = cut[shown]
  return patches.unpatchify(hidden, FRAME_SIZE, FRAME_SIZE, PATCH)


def draw_state(canvas, center, top):
  """A state: a token for each patch."""
  cell, gap, count = 11, 4, 5
  side = count * cell + (count - 1) * gap
  for row in range(count):
    for column in range(count):
      x = center - side / 2 + column * (cell + gap) + cell / 2
      y = top + row * (cell + gap)
      canvas.box(x, y, cell, cell, (ORANGE[0], ORANGE[0]), radius=2, line=1)
  return side


def draw_source(canvas, frames):
  """Frames to ViT to core to states, for each source frame."""
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
  for y, note in (
      (
          738,
          'core: a transformer inside the gates of a GRU,\n'
          'folds frame after frame into the state s',
      ),
      (
          812,
          'after training: ViT and core alone are kept,\n'
          'the states are the features of the video',
      ),
  ):
    canvas.text(x, y, note, 25, GREY, 'lm')


def draw_target(canvas, frame):
  """The hidden frame, the decoder over the states, and the loss."""
  x = FUTURE
  canvas.text(x, 32, 'a future frame, 95 % hidden')
  canvas.picture(x, FRAMES, hide(frame))
  y = FRAMES + SIDE / 2
  canvas.arrow((COLUMNS[-1] + SIDE / 2 + 14, y), (x - SIDE / 2 - 14, y))
  middle = (COLUMNS[-1] + x) / 2
  canvas.text(middle, y - 26, 'gap')
  canvas.text(middle, y + 28, '4 to 48 frames', 24, GREY)
  canvas.arrow((x, FRAMES + SIDE + 4), (x, VITS - 4))
  y = (FRAMES + SIDE + VITS) / 2
  canvas.text(x + 18, y, 'visible patches', 24, GREY, 'lm')
  canvas.box(x, VITS, 130, 66, BLUE)
  canvas.text(x, VITS + 33, 'ViT', 30)
  for start, end in (
      (COLUMNS[-1] + 72, middle - 84),
      (middle + 84, x - 72),
  ):
    canvas.line((start, VITS + 33), (end, VITS + 33), color=FAINT, line=3)
  canvas.text(middle, VITS + 33, 'same weights', 24, GREY)

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
  # The bracket that gathers the states.
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
  source = source_lib.Scenes(100, FRAME_SIZE, FRAME_SIZE, split='held_out')
  *frames, target = source[SCENE].read([*SOURCE, TARGET])
  canvas = Canvas()
  draw_source(canvas, frames)
  draw_target(canvas, target)
  canvas.save(pathlib.Path(__file__).with_suffix('.png'))


if __name__ == '__main__':
  main()
