"""Draws pictures for reports: frames of a video with masks or joints."""

import numpy as np
from PIL import Image
from PIL import ImageDraw

from rvm_jax.viz import colors
from rvm_jax.viz import panels
from rvm_jax.viz import sheets

# Frames are resized so that their longer side is between these lengths, in
# pixels.
SHOWN_SIDE = 128, 256
# Number of videos that get a picture.
_NUM_SHOWN = 4
# Radius in pixels of the dot on a joint.
_DOT_RADIUS = 4


def choose_shown(num_videos: int) -> set[int]:
  """Chooses the videos that get a picture.

  Args:
    num_videos: number of videos in the data set, at least 1.

  Returns:
    Indices of four videos, evenly spaced from the first to the last; all
    indices if there are fewer than four videos.
  """
  return set(np.linspace(0, num_videos - 1, _NUM_SHOWN).round().astype(int))


def draw_masks(
    frames: np.ndarray, ground_truth: np.ndarray, prediction: np.ndarray
) -> np.ndarray:
  """Draws evenly spaced frames of a video, with their masks below them.

  Args:
    frames: uint8 [T, H, W, 3], the frames of the video.
    ground_truth: uint8 [T, H, W], the annotated masks; 0 is the background.
    prediction: uint8 [T, H, W], the predicted masks; an object has the same
      number as in `ground_truth`.

  Returns:
    uint8 [height, width, 3]. It has a column for each shown frame, and a row
    each for the frames, the annotated masks and the predicted masks.
  """
  # Masks are resized along with the frames.
  small = panels.fit(frames, *SHOWN_SIDE)
  _, height, width, _ = small.shape
  rows = {
      name: np.stack(
          [
              Image.fromarray(mask).resize(
                  (width, height), Image.Resampling.NEAREST
              )
              for mask in masks
          ]
      )
      for name, masks in _name_rows(ground_truth, prediction).items()
  }
  return sheets.mask_sheet(small, rows)


def draw_joints(
    frames: np.ndarray, ground_truth: np.ndarray, prediction: np.ndarray
) -> np.ndarray:
  """Draws evenly spaced frames of a video, with a dot on each joint.

  Args:
    frames: uint8 [T, H, W, 3], the frames of the video.
    ground_truth: float [T, J, 2], annotated joints as (x, y) in pixels. A joint
      with a negative coordinate gets no dot.
    prediction: float [T, J, 2], predicted joints as (x, y) in pixels, -1 for
      joints that were not found.

  Returns:
    uint8 [height, width, 3]. It has a column for each shown frame, a row with
    the annotated and a row with the predicted joints. A joint has the same
    colour everywhere; colours repeat after twelve joints.
  """
  times = sheets.spread(len(frames))
  small = panels.fit(frames[times], *SHOWN_SIDE)
  scale = small.shape[2] / frames.shape[2], small.shape[1] / frames.shape[1]
  rows = {
      name: np.stack([*map(_draw_dots, small, poses[times] * scale)])
      for name, poses in _name_rows(ground_truth, prediction).items()
  }
  return sheets.panel_sheet(rows, times)


def _name_rows(ground_truth, prediction):
  """Returns annotated and predicted labels by the caption of their row."""
  return {'ground truth': ground_truth, 'prediction': prediction}


def _draw_dots(image, pose):
  """Draws a dot on each joint that has no negative coordinate.

  Args:
    image: uint8 [H, W, 3].
    pose: float [J, 2], joints as (x, y) in pixels of the image.

  Returns:
    A new image, uint8 [H, W, 3].
  """
  image = Image.fromarray(image)
  draw = ImageDraw.Draw(image)
  for joint, point in enumerate(pose):
    if point.min() >= 0:
      color = tuple(colors.KINDS[joint % len(colors.KINDS)].tolist())
      draw.circle(tuple(point), _DOT_RADIUS, color, (0, 0, 0))
  return np.asarray(image)
