"""Waymo Open: boxes tracked through clips, by a trained readout.

'mean_iou' is the mean intersection over union, in %, of all boxes after the
first frames of the clips, which hold the queries. 'static_mean_iou' is the
baseline: the score of boxes that never move.
"""

import numpy as np

from rvm_jax.evals.datasets import waymo
from rvm_jax.evals.fitting import pictures
from rvm_jax.evals.fitting import scoring
from rvm_jax.evals.fitting import task
from rvm_jax.evals.heads import boxes
from rvm_jax.evals.metrics import boxes as metric

_SCORES = 'mean_iou', 'static_mean_iou'


def _make_head(clip: waymo.BoxedClip, **settings) -> boxes.BoxesHead:
  """Returns a head for frames of the clip's size."""
  return boxes.BoxesHead(**clip.sampling.frame_size, **settings)


def _score_clip(clip, ground_truth, prediction):
  """Returns the row of a clip: mean overlaps in %, and counts."""
  true = ground_truth['boxes']  # [O, T, 4]
  static = np.broadcast_to(true[:, :1], true.shape)
  overlaps = [
      metric.track_iou(true, predicted)
      for predicted in (prediction['boxes'], static)
  ]
  counted = ~np.isnan(overlaps[0])
  row = {
      'clip': clip.name,
      'num_objects': int(np.isfinite(true[:, 0, 0]).sum()),
      'num_boxes': int(counted.sum()),
  }
  for key, overlap in zip(_SCORES, overlaps):
    # A clip without a box after its first frame has no mean, and no weight.
    mean = overlap[counted].mean() if counted.any() else np.nan
    row[key] = 100 * float(mean)
  return row


def _summarise(rows):
  """Averages over clips, weighted by the numbers of their boxes."""
  rows = [row for row in rows if row['num_boxes']]
  weights = [row['num_boxes'] for row in rows]
  if not rows:
    raise ValueError('no object has a box after the first frame of a clip')
  return {
      key: float(np.average([row[key] for row in rows], weights=weights))
      for key in _SCORES
  } | {'num_boxes': sum(weights)}


TASK = task.Task(
    title='Waymo mean IoU',
    name='boxes',
    read=waymo.read,
    splits=('training', 'validation'),
    head=_make_head,
    metric=scoring.Metric(_score_clip, _summarise, 'mean_iou'),
    draw=lambda clip, example, prediction: pictures.draw_boxes(
        example, prediction
    ),
)
