"""Draws predictions of a head and the ground truth, on a few frames.

The public functions take two dicts of arrays: `example` is an example with its
frames (`fitting.examples`), and `prediction` is what the head's `decode`
returns for it, without the batch axis (`rvm_jax.evals.heads`). They return a
picture, uint8 [height, width, 3], with a column for each of some evenly spaced
frames.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image
from PIL import ImageDraw

from rvm_jax.evals.propagation import pictures as pictures_lib
from rvm_jax.viz import colors
from rvm_jax.viz import panels
from rvm_jax.viz import sheets

# Depths above this percentile of the ground truth have the brightest colour. It
# is not the maximum, so that a few far pixels do not make all others dark.
_MAX_DEPTH = 99

Arrays = Mapping[str, np.ndarray]


def draw_class(
    example: Arrays, prediction: Arrays, names: Sequence[str]
) -> np.ndarray:
  """Draws frames, with the names of the true and the predicted class above.

  Args:
    example: arrays with 'frames' and 'label'.
    prediction: arrays with 'probabilities', float [K].
    names: names of the K classes.
  """
  times, frames = _choose_frames(example)
  predicted = int(np.argmax(prediction['probabilities']))
  caption = f'{names[int(example["label"])]} (predicted: {names[predicted]})'
  return sheets.panel_sheet({caption: frames}, times)


def draw_points(example: Arrays, prediction: Arrays) -> np.ndarray:
  """Draws the visible points, true ones in a row above predicted ones.

  A point has the same colour everywhere. Colours repeat after twelve points.

  Args:
    example: arrays with 'frames', 'tracks' and 'visible'.
    prediction: arrays with 'tracks' and 'visible'.
  """
  return _draw_marks(example, prediction, _mark_points)


def draw_boxes(example: Arrays, prediction: Arrays) -> np.ndarray:
  """Draws the boxes, true ones in a row above predicted ones.

  A box has the same colour everywhere. Colours repeat after twelve boxes.

  Args:
    example: arrays with 'frames' and 'boxes'.
    prediction: arrays with 'boxes'.
  """
  return _draw_marks(example, prediction, _mark_boxes)


def draw_depth(example: Arrays, prediction: Arrays) -> np.ndarray:
  """Draws frames above their true and predicted depth maps.

  Colours go from black at 0 m to bright at the 99th percentile of the true
  depth of these frames, in both maps. Unknown depth, which is 0, is black.

  Args:
    example: arrays with 'frames' and 'depth'.
    prediction: arrays with 'depth'.
  """
  times, frames = _choose_frames(example)
  true, predicted = example['depth'][times], prediction['depth'][times]
  # The depth of the brightest colour; any will do if no depth is known.
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
  """Chooses F evenly spaced frames of an example.

  Returns:
    Their indices, int [F], and the frames, resized for display, uint8
    [F, height, width, 3].
  """
  frames = example['frames']
  times = sheets.spread(len(frames))
  return times, panels.fit(frames[times], *pictures_lib.SHOWN_SIDE)


def _draw_marks(
    example: Arrays,
    prediction: Arrays,
    mark: Callable[[np.ndarray, Arrays, int, float], np.ndarray],
) -> np.ndarray:
  """Draws a row of frames with true marks and a row with predicted marks.

  Args:
    example: arrays of the example.
    prediction: arrays of the prediction.
    mark: function (frame, arrays, time, scale) -> frame that draws the marks of
      a frame. `frame` is uint8 [H, W, 3], resized by the factor `scale`; the
      marks are those at index `time` in `arrays`.
  """
  times, frames = _choose_frames(example)
  # Coordinates are in pixels of the encoder's frames, which are shown resized.
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
  """Draws a dot on each visible point."""
  image = Image.fromarray(frame)
  draw = ImageDraw.Draw(image)
  for number, (track, visible) in enumerate(
      zip(arrays['tracks'], arrays['visible'])
  ):
    if visible[time]:
      draw.circle(tuple(track[time] * scale), 3, _color(number), (0, 0, 0))
  return np.asarray(image)


def _mark_boxes(frame, arrays, time, scale):
  """Draws the outline of each box."""
  image = Image.fromarray(frame)
  draw = ImageDraw.Draw(image)
  for number, boxes in enumerate(arrays['boxes']):
    x0, y0, x1, y1 = boxes[time] * scale
    # Do not draw missing boxes, which are NaN, or predicted boxes whose corners
    # are in the wrong order.
    if x0 < x1 and y0 < y1:
      draw.rectangle((x0, y0, x1, y1), outline=_color(number), width=2)
  return np.asarray(image)


def _color(number):
  """Returns the colour (r, g, b) of a point or box, by its number."""
  return tuple(colors.KINDS[number % len(colors.KINDS)].tolist())
