"""Regions that a user clicked, tracked from frame to frame.

A click labels a small disc of patches. The labels are propagated to the frames
that follow by the similarity of features, as in the DAVIS benchmark
(rvm_jax/evals/propagation/label_propagation.py). The context of a frame is the
clicked frame and the last few frames, so that the cost of a frame does not
depend on how long ago the click was.
"""

import numpy as np

from rvm_jax.evals.propagation import context
from rvm_jax.evals.propagation import label_propagation

# The settings of the DAVIS benchmark (configs/eval_davis.py), except that 5
# previous frames are searched instead of 20, to keep up with a camera.
SETTINGS = context.Settings(
    num_context=5, temperature=0.7, top_k=7, radius=20.0
)
# Radius of the disc that a click labels, in patches.
RADIUS = 1.5
# A patch belongs to the region if the region's share of it is above this.
THRESHOLD = 0.5


class Track:
  """A region of one frame, which is followed through later frames.

  Attributes:
    labels: share of each patch of the newest frame that belongs to the region,
      float32 [h, w] in [0, 1].
  """

  def __init__(
      self, features: np.ndarray, labels: np.ndarray, *, center_frames: bool
  ):
    """Starts at the frame that was clicked.

    Args:
      features: features of the clicked frame, float32 [h, w, D].
      labels: share of each patch of this frame that belongs to the region,
        float32 [h, w] in [0, 1].
      center_frames: whether the mean of each frame is subtracted from its
        features, see `label_propagation.center`.
    """
    self._center_frames = center_frames
    self._first = self._scale(features)
    self._first_labels = labels[..., None]
    self._state = label_propagation.begin(
        self._first, self._first_labels, SETTINGS
    )
    self._num_frames = 0
    # The protocol of DAVIS also predicts the labels of the first frame. The
    # prediction enters the queue, but the user is shown the labels of the
    # click.
    self.step(features)
    self.labels = labels

  def step(self, features: np.ndarray):
    """Follows the region into the next frame.

    Args:
      features: features of this frame, float32 [h, w, D].
    """
    self._state, prediction = label_propagation.advance(
        self._state,
        self._first,
        self._first_labels,
        self._scale(features)[None],
        self._num_frames,
        SETTINGS,
    )
    self._num_frames += 1
    self.labels = np.asarray(prediction)[0, ..., 0]

  def _scale(self, features: np.ndarray) -> np.ndarray:
    """Returns the features of a frame as label propagation compares them."""
    unit = label_propagation.normalize(features)
    return label_propagation.center(unit) if self._center_frames else unit

  def find_centre(self) -> tuple[float, float] | None:
    """Returns the centre of the region in the newest frame.

    Returns:
      (x, y) in patches, where the first patch spans 0 to 1; None if no patch
      belongs to the region, so that the model does not see it.
    """
    rows, columns = np.nonzero(self.labels > THRESHOLD)
    if not rows.size:
      return None
    weights = self.labels[rows, columns]
    x, y = (np.average(axis + 0.5, weights=weights) for axis in (columns, rows))
    return float(x), float(y)


def draw_disc(x: float, y: float, grid: tuple[int, int]) -> np.ndarray:
  """Labels the patches within 1.5 patches of a point, and the patch at it.

  Args:
    x: horizontal position of the point in patches, in [0, w).
    y: vertical position of the point in patches, in [0, h).
    grid: h and w, the rows and columns of patches.

  Returns:
    float32 [h, w], 1 for patches whose centres lie in the disc, else 0.
  """
  rows, columns = np.mgrid[: grid[0], : grid[1]] + 0.5
  labels = np.hypot(columns - x, rows - y) <= RADIUS
  labels[int(y), int(x)] = True
  return labels.astype(np.float32)
