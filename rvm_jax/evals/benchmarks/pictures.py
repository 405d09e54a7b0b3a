"""Pictures of what readouts answer: a few frames, the truth and the answer."""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from PIL import ImageDraw

from rvm_jax.evals.fitting import task
from rvm_jax.evals.propagation import pictures
from rvm_jax.viz import colors
from rvm_jax.viz import panels
from rvm_jax.viz import sheets

_MAX_DEPTH = 99  # Percentile of the true depth that has the brightest colour.


def draw_class(shown: task.Shown, names: Sequence[str]) -> np.ndarray:
  """Frames of a clip with its class and the most probable one.

  Args:
    shown: of a `ClassificationHead`.
    names: of the classes.

  Returns:
    uint8 [height, width, 3].
  """
  times, frames = _choose(shown)
  found = int(np.argmax(shown.predicted['probabilities']))
  name = f'{names[int(shown.example["label"])]} (found: {names[found]})'
  return sheets.panel_sheet({name: frames}, times)


def draw_points(shown: task.Shown) -> np.ndarray:
  """Frames of a clip with the visible points on them, each in its colour."""
  return _draw_marks(shown, _mark_points)


def draw_boxes(shown: task.Shown) -> np.ndarray:
  """Frames of a clip with boxes on them, each in its colour."""
  return _draw_marks(shown, _mark_boxes)


def draw_depth(shown: task.Shown) -> np.ndarray:
  """Frames of a clip, and depths: far is bright, what is not known is black."""
  times, frames = _choose(shown)
  true, found = (
      truth['depth'][times] for truth in (shown.example, shown.predicted)
  )
  full = float(np.percentile(true, _MAX_DEPTH)) or 1.0
  paint = lambda depth: panels.fit(
      colors.paint_amounts(depth, full), *pictures.SHOWN_SIDE
  )
  return sheets.panel_sheet(
      {'frames': frames, 'truth': paint(true), 'readout': paint(found)}, times
  )


def _choose(shown):
  frames = shown.example['frames']
  times = sheets.spread(len(frames))
  return times, panels.fit(frames[times], *pictures.SHOWN_SIDE)


def _draw_marks(shown, mark):
  times, frames = _choose(shown)
  scale = frames.shape[2] / shown.example['frames'].shape[2]
  truths = {'truth': shown.example, 'readout': shown.predicted}
  return sheets.panel_sheet(
      {
          name: np.stack(
              [
                  mark(frame, truth, time, scale)
                  for frame, time in zip(frames, times)
              ]
          )
          for name, truth in truths.items()
      },
      times,
  )


def _mark_points(frame, truth, time, scale):
  image = Image.fromarray(frame)
  draw = ImageDraw.Draw(image)
  for number, (track, visible) in enumerate(
      zip(truth['tracks'], truth['visible'])
  ):
    if visible[time]:
      draw.circle(tuple(track[time] * scale), 3, _color(number), (0, 0, 0))
  return np.asarray(image)


def _mark_boxes(frame, truth, time, scale):
  image = Image.fromarray(frame)
  draw = ImageDraw.Draw(image)
  for number, boxes in enumerate(truth['boxes']):
    x0, y0, x1, y1 = boxes[time] * scale
    if x0 < x1 and y0 < y1:  # Neither none, nor turned inside out.
      draw.rectangle((x0, y0, x1, y1), outline=_color(number), width=2)
  return np.asarray(image)


def _color(number):
  return tuple(colors.KINDS[number % len(colors.KINDS)].tolist())
