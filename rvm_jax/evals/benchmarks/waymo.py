"""Waymo Open: boxes followed through clips, by a trained readout."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rvm_jax.evals import report
from rvm_jax.evals.benchmarks import clips
from rvm_jax.evals.benchmarks import pictures
from rvm_jax.evals.datasets import waymo
from rvm_jax.evals.encoders import encoder as encoder_lib
from rvm_jax.evals.fitting import task
from rvm_jax.evals.heads import boxes
from rvm_jax.evals.metrics import boxes as metric

_SCORES = 'mean_iou', 'static_mean_iou'


def evaluate(
    model: encoder_lib.FrozenEncoder,
    data_dir: str,
    *,
    workdir: str,
    sampling: Mapping[str, Any],
    train: Mapping[str, Any],
    test: Mapping[str, Any],
    head: Mapping[str, Any],
    features: Mapping[str, Any],
    training: Mapping[str, Any],
) -> report.Report:
  """Scores an encoder on clips of the validation segments.

  'mean_iou' is the mean intersection over union, in %, of all boxes after the
  first frames of the clips, in which they are asked for; 'static_mean_iou' that
  of boxes that never move.

  Args:
    model: the encoder.
    data_dir: see `datasets.waymo`.
    workdir: see `readout.evaluate`.
    sampling, train, test: how segments are cut and which objects count, see
      `clips.read` and `waymo.read`.
    head: settings of `BoxesHead`.
    features, training: see `readout.evaluate`.

  Returns:
    A report with a row for each clip.

  Raises:
    ImportError: pyarrow is not installed.
    FileNotFoundError: something of the data set is missing.
    ValueError: broken files, or settings that do not fit together.
  """
  splits = clips.read(
      waymo.read, data_dir, ('training', 'validation'), sampling, train, test
  )
  size = {key: sampling[key] for key in ('height', 'width')}
  found = task.evaluate(
      model,
      boxes.BoxesHead(**size, **head),
      splits.train,
      splits.test,
      task.Metric(_score_clip, _summarise, 'mean_iou'),
      name='boxes',
      workdir=workdir,
      examples=splits.settings,
      features=features,
      training=training,
  )
  return report.Report(
      task='Waymo mean IoU',
      headline='mean_iou',
      scores=found.scores,
      rows=found.rows,
      pictures={
          s.name.replace('/', '_'): pictures.draw_boxes(s) for s in found.shown
      },
      files=splits.files,
      notes=[*splits.notes, *found.notes],
  )


def _score_clip(record, truth, predicted):
  true = truth['boxes']
  static = np.broadcast_to(true[:, :1], true.shape)
  found = [
      metric.track_iou(true, answer) for answer in (predicted['boxes'], static)
  ]
  counted = ~np.isnan(found[0])
  row = {
      'clip': record.name,
      'num_objects': int(np.isfinite(true[:, 0, 0]).sum()),
      'num_boxes': int(counted.sum()),
  }
  for key, overlap in zip(_SCORES, found):
    # Without a box the mean is not a number, and weighs nothing.
    mean = overlap[counted].mean() if counted.any() else np.nan
    row[key] = 100 * float(mean)
  return row


def _summarise(rows):
  rows = [row for row in rows if row['num_boxes']]
  weights = [row['num_boxes'] for row in rows]
  if not rows:
    raise ValueError('no object has a box after the first frame of a clip')
  return {
      key: float(np.average([row[key] for row in rows], weights=weights))
      for key in _SCORES
  } | {'num_boxes': sum(weights)}
