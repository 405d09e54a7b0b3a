"""ScanNet: depth of every pixel of clips, by a trained readout.

Only pixels of known depth are scored. 'abs_rel' is the mean relative error over
all of these pixels. 'abs_rel_by_frame' is the mean over those of each frame,
then over frames; it is not known which of the two the paper reports. 'delta_1'
is the percentage of all of these pixels whose predicted depth is within a
factor of 1.25 of the true one.
"""

import numpy as np

from rvm_jax.evals.datasets import scannet
from rvm_jax.evals.fitting import pictures
from rvm_jax.evals.fitting import scoring
from rvm_jax.evals.fitting import task
from rvm_jax.evals.heads import depth
from rvm_jax.evals.metrics import depth as metric


def _make_head(clip: scannet.DepthClip, **settings) -> depth.DepthHead:
  """Returns a head for frames of the clip's size."""
  return depth.DepthHead(**clip.sampling.frame_size, **settings)


def _score_clip(clip, ground_truth, prediction):
  """Returns the row of a clip: mean scores over its pixels, and counts."""
  by_frame = metric.score(ground_truth['depth'], prediction['depth'])
  known = by_frame['num_pixels'] > 0
  by_frame['delta_1'] = 100 * by_frame['delta_1']
  return {
      'clip': clip.name,
      'num_frames': int(known.sum()),
      'num_pixels': int(by_frame['num_pixels'].sum()),
      'sum_abs_rel_by_frame': float(by_frame['abs_rel'][known].sum()),
  } | metric.pool(by_frame)


def _summarise(rows):
  """Averages over clips, once weighted by pixels and once by frames."""
  columns = {
      key: np.array([row[key] for row in rows])
      for key in ('abs_rel', 'delta_1', 'num_pixels')
  }
  if not columns['num_pixels'].any():
    raise ValueError('no pixel of any clip has a known depth')
  pooled = metric.pool(columns)
  num_frames = sum(row['num_frames'] for row in rows)
  return {
      'abs_rel': pooled['abs_rel'],
      'abs_rel_by_frame': sum(r['sum_abs_rel_by_frame'] for r in rows)
      / num_frames,
      'delta_1': pooled['delta_1'],
      'num_clips': len(rows),
      'num_frames': num_frames,
  }


TASK = task.Task(
    title='ScanNet AbsRel',
    name='depth',
    read=scannet.read,
    splits=('train', 'val'),
    head=_make_head,
    metric=scoring.Metric(
        _score_clip, _summarise, 'abs_rel', lower_is_better=True
    ),
    draw=lambda clip, example, prediction: pictures.draw_depth(
        example, prediction
    ),
)
