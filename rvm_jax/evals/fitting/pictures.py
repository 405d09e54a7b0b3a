"""Draws what a readout predicts next to the ground truth, on a few frames.

Every function takes `example`, the arrays of one example with its frames, and
`prediction`, what the head's `decode` returns for it without the batch axis
(`rvm_jax.evals.heads` has the names and shapes of both). It returns a picture,
uint8 [height, width, 3].
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image
from PIL import ImageDraw

from rvm_jax.evals.propagation import pictures as pictures_lib
from rvm_jax.viz import colors
from rvm_jax.viz import panels
from rvm_jax.viz import sheets

# The percentile of the true depth that gets the brightest colour: a few far
# pixels shall not darken all others.
_MAX_DEPTH = 99

Arrays = Mapping[str, np.ndarray]


def draw_class(
    example: Arrays, prediction: Arrays, names: Sequence[str]
) -> np.ndarray:
  """Draws frames under the name of the true class and of the predicted one.

  Args:
    example: has 'frames' and 'label'.
    prediction: has 'probabilities'.
    names: names of the classes, by number.
  """
  times, frames = _choose_frames(example)
  predicted = int(np.argmax(prediction['probabilities']))
  caption = f'{names[int(example["label"])]} (predicted: {names[predicted]})'
  return sheets.panel_sheet({caption: frames}, times)


def draw_points(example: Arrays, prediction: Arrays) -> np.ndarray:
  """Draws the visible points, each in its own colour."""
  return _draw_marks(example, prediction, _mark_points)


def draw_boxes(example: Arrays, prediction: Arrays) -> np.ndarray:
  """Draws the boxes, each in its own colour."""
  return _draw_marks(example, prediction, _mark_boxes)


def draw_depth(example: Arrays, prediction: Arrays) -> np.ndarray:
  """Draws depth maps: far is bright, and unknown depth is black."""
  times, frames = _choose_frames(example)
  true, predicted = example['depth'][times], prediction['depth'][times]
  full = float(np.percentile(true, _MAX_DEPTH)) or 1.0

  def paint(depth):
    return panels.fit(
        colors.paint_amounts(depth, full), *pictures_lib.SHOWN_SIDE
    )

  return sheets.panel_sheet(
      {
          'frames': frames,
          'ground truth': paint(true),
          'prediction': paint(predicted),
      },
      times,
  )


def _choose_frames(example: Arrays) -> tuple[np.ndarray, np.ndarray]:
  """Returns the numbers of a few frames, and these frames at display size."""
  frames = example['frames']
  times = sheets.spread(len(frames))
  return times, panels.fit(frames[times], *pictures_lib.SHOWN_SIDE)


def _draw_marks(
    example: Arrays,
    prediction: Arrays,
    mark: Callable[[np.ndarray, Arrays, int, float], np.ndarray],
) -> np.ndarray:
  """Draws a row of frames with the true marks and a row with the predicted."""
  times, frames = _choose_frames(example)
  # Marks are in pixels of the encoder's frames, which are shown enlarged.
  scale = frames.shape[2] / example['frames'].shape[2]
  rows = {
      name: np.stack(
          [
              mark(frame, arrays, time, scale)
              for frame, time in zip(frames, times)
          ]
      )
      for name, arrays in (
          ('ground truth', example),
          ('prediction', prediction),
      )
  }
  return sheets.panel_sheet(rows, times)


def _mark_points(frame, arrays, time, scale):
  image = Image.fromarray(frame)
  draw = ImageDraw.Draw(image)
  for number, (track, visible) in enumerate(
      zip(arrays['tracks'], arrays['visible'])
  ):
    if visible[time]:
      draw.circle(tuple(track[time] * scale), 3, _color(number), (0, 0, 0))
  return np.asarray(image)


def _mark_boxes(frame, arrays, time, scale):
  image = Image.fromarray(frame)
  draw = ImageDraw.Draw(image)
  for number, boxes in enumerate(arrays['boxes']):
    x0, y0, x1, y1 = boxes[time] * scale
    # Absent boxes are NaN, and predicted corners may come in the wrong order:
    # neither is drawn.
    if x0 < x1 and y0 < y1:
      draw.rectangle((x0, y0, x1, y1), outline=_color(number), width=2)
  return np.asarray(image)


def _color(number):
  return tuple(colors.KINDS[number % len(colors.KINDS)].tolist())
